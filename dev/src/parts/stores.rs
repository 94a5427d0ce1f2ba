//! The stores and the edge, with their files and ports in this topology.

use anyhow::Result;
use servers::mongo::Mongo;
use servers::nats::Nats;
use servers::nginx::Nginx;
use servers::postgres::Postgres;

use super::Site;

/// The event bus. `compose.yaml` mounts the same configuration.
pub(super) fn nats(site: &Site) -> Result<Nats> {
    Ok(Nats {
        program: site.tools.nats_server.clone(),
        config: site.layout.root.join("deploy/nats/nats.conf"),
        name: None,
        address: site.ports.address("nats")?,
        monitor_address: site.ports.address("nats-monitor")?,
        store: site.layout.data("nats"),
        passwords: site.nats_passwords.clone(),
    })
}

/// The results store.
pub(super) fn postgres(site: &Site) -> Result<Postgres> {
    Ok(Postgres {
        programs: site.tools.postgres.clone(),
        data: site.layout.public_data("postgres"),
        sockets: Some(site.layout.sockets().join("postgres")),
        port: site.ports.of("postgres")?,
        settings: &[
            // Tests run side by side, with services and pools of their own, over this one server.
            ("max_connections", "200"),
            ("shared_buffers", "128MB"),
            ("max_wal_size", "512MB"),
        ],
        owner: "runledger".to_owned(),
        database: "runledger".to_owned(),
    })
}

/// The superuser's address of the results store, for tests that make databases of their own.
pub(crate) fn superuser_url(site: &Site) -> Result<String> {
    Ok(postgres(site)?.superuser_url())
}

/// The progress store.
pub(super) fn mongo(site: &Site) -> Result<Mongo> {
    Ok(Mongo {
        program: site.tools.mongod.clone(),
        config: site.layout.conf("mongod.conf"),
        data: site.layout.data("mongo"),
        port: site.ports.of("mongo")?,
        // By default the log of operations may grow to a twentieth of the free disk.
        oplog_mb: 256,
    })
}

/// The edge.
pub(super) fn nginx(site: &Site) -> Result<Nginx> {
    Ok(Nginx {
        program: site.tools.nginx.clone(),
        root: site.layout.root.clone(),
        config: site.layout.conf("nginx.conf"),
        state: site.layout.data("nginx"),
        address: site.ports.address("edge")?,
        command_api: site.ports.address("command-api")?,
        query_api: site.ports.address("query-api")?,
        // As it is deployed; a kill here ends the workers together with their master.
        is_single_process: false,
    })
}

#[cfg(test)]
mod tests {
    use platform::problem::Slug;

    #[test]
    fn the_edges_own_problems_read_like_the_services() {
        let template = include_str!("../../../deploy/nginx/nginx.conf.template");
        let bodies = template.lines().filter_map(|line| line.trim().strip_prefix("return "));
        let problems: Vec<serde_json::Value> = bodies
            .filter_map(|rest| rest.split_once('\''))
            .map(|(_, body)| serde_json::from_str(body.strip_suffix("';").unwrap()).unwrap())
            .collect();

        assert_eq!(problems.len(), 3);
        for problem in problems {
            let slug = problem["type"].as_str().unwrap().strip_prefix("/problems/").unwrap();
            let known = Slug::ALL.iter().find(|known| known.as_str() == slug).unwrap();
            assert_eq!(problem["title"], known.title());
            assert_eq!(problem["status"], known.status().as_u16());
        }
    }
}

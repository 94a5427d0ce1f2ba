//! nginx: the edge that gives clients one origin.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::Signal;

use super::{Part, Site, ask};
use crate::paths;
use crate::process::Spec;

/// What nginx answers on, for us alone.
const ALIVE: &str = "/edge/live";

/// The edge.
pub(crate) struct Nginx;

impl Part for Nginx {
    fn name(&self) -> &'static str {
        "nginx"
    }

    fn prepare(&self, site: &Site) -> Result<Spec> {
        let state = site.layout.data("nginx");
        paths::make_public(&state)?;
        let web = site.layout.root.join("web/public");
        let shape = site.layout.root.join("deploy/nginx/nginx.conf.template");
        let shape =
            fs::read_to_string(&shape).with_context(|| format!("read {}", shape.display()))?;
        let values = [
            ("EDGE_LISTEN", site.ports.address("edge")?),
            ("EDGE_STATE", state.display().to_string()),
            ("EDGE_WEB", web.display().to_string()),
            ("COMMAND_API", site.ports.address("command-api")?),
            ("QUERY_API", site.ports.address("query-api")?),
        ];
        let conf = site.layout.conf("nginx.conf");
        paths::write_whole(&conf, substituted(&shape, &values).as_bytes(), 0o644)?;
        // Outside a terminal's session already, so it does not have to make itself a daemon.
        let globals = format!("daemon off; {}", user_for(&[&web, &state]));
        Ok(Spec::new(&site.tools.nginx)
            .args(["-e", "stderr", "-c"])
            .args([conf.as_os_str(), "-g".as_ref(), globals.as_ref()])
            .file(conf))
    }

    fn check(&self, site: &Site) -> Result<()> {
        match ask(&format!("{}{ALIVE}", site.edge_url()?))? {
            (204, _) => Ok(()),
            (status, _) => bail!("{ALIVE} answers {status}"),
        }
    }

    fn address(&self, site: &Site) -> Result<String> {
        site.ports.address("edge")
    }

    fn stopping(&self) -> (Signal, Duration) {
        (Signal::TERM, Duration::from_secs(10))
    }
}

/// Replaces `${NAME}` by its value, and leaves nginx's own `$name` alone.
fn substituted(shape: &str, values: &[(&str, String)]) -> String {
    values
        .iter()
        .fold(shape.to_owned(), |text, (name, value)| text.replace(&format!("${{{name}}}"), value))
}

/// Workers of root's nginx become nobody, unless nobody could not read what they serve.
fn user_for(dirs: &[&Path]) -> &'static str {
    if !rustix::process::geteuid().is_root() {
        ""
    } else if dirs.iter().all(|dir| paths::reachable_by_all(dir)) {
        "user nobody nogroup;"
    } else {
        "user root;"
    }
}

#[cfg(test)]
mod tests {
    use platform::problem::Slug;

    use super::*;

    #[test]
    fn only_our_own_names_are_substituted() {
        let shape = "listen ${EDGE_LISTEN}; set $x $uri; proxy ${OTHER};";

        let text = substituted(shape, &[("EDGE_LISTEN", "127.0.0.1:1".into())]);

        assert_eq!(text, "listen 127.0.0.1:1; set $x $uri; proxy ${OTHER};");
    }

    #[test]
    fn the_template_has_no_name_that_nobody_fills() {
        let shape = include_str!("../../../deploy/nginx/nginx.conf.template");
        let names = ["EDGE_LISTEN", "EDGE_STATE", "EDGE_WEB", "COMMAND_API", "QUERY_API"];

        let text = substituted(shape, &names.map(|name| (name, "x".to_owned())));

        assert!(!text.contains("${"), "{text}");
    }

    #[test]
    fn the_edges_own_problems_read_like_the_services() {
        let shape = include_str!("../../../deploy/nginx/nginx.conf.template");
        let bodies = shape.lines().filter_map(|line| line.trim().strip_prefix("return "));
        let problems: Vec<serde_json::Value> = bodies
            .filter_map(|rest| rest.split_once('\''))
            .map(|(_, body)| serde_json::from_str(body.strip_suffix("';").unwrap()).unwrap())
            .collect();

        assert_eq!(problems.len(), 3);
        for problem in problems {
            let slug = problem["type"].as_str().unwrap().strip_prefix("/problems/").unwrap();
            let known = Slug::ALL.into_iter().find(|known| known.as_str() == slug).unwrap();
            assert_eq!(problem["title"], known.title());
            assert_eq!(problem["status"], known.status().as_u16());
        }
    }
}

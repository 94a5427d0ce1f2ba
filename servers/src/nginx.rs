//! nginx: the edge that gives clients one origin.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::Signal;

use crate::{Program, Server, files, http};

/// What nginx answers on, for us alone.
const ALIVE: &str = "/edge/live";

/// One nginx.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "plain data: the names say it")]
pub struct Nginx {
    pub program: PathBuf,
    /// The workspace, with the configuration's template and the files that are served.
    pub root: PathBuf,
    /// Where the configuration is written.
    pub config: PathBuf,
    /// Where it keeps its files.
    pub state: PathBuf,
    pub address: String,
    pub command_api: String,
    pub query_api: String,
    /// Whether one process does everything. Workers would outlive a master that is killed.
    pub is_single_process: bool,
}

impl Nginx {
    /// Returns the origin that clients use.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Server for Nginx {
    fn prepare(&self) -> Result<Program> {
        files::make_public(&self.state)?;
        let web = self.root.join("web/public");
        let template = self.root.join("deploy/nginx/nginx.conf.template");
        let template = fs::read_to_string(&template)
            .with_context(|| format!("read {}", template.display()))?;
        // Each worker has a queue of its own, so there must be as many as processes that serve.
        let workers = if self.is_single_process { "1" } else { "auto" };
        let values = [
            ("EDGE_WORKERS", workers.to_owned()),
            ("EDGE_LISTEN", self.address.clone()),
            ("EDGE_STATE", self.state.display().to_string()),
            ("EDGE_WEB", web.display().to_string()),
            ("COMMAND_API", self.command_api.clone()),
            ("QUERY_API", self.query_api.clone()),
        ];
        files::write_whole(&self.config, fill_in(&template, &values).as_bytes(), 0o644)?;
        // Outside a terminal's session already, so it does not have to make itself a daemon.
        let processes = if self.is_single_process {
            "master_process off;"
        } else {
            worker_user(&[&web, &self.state])
        };
        let globals = format!("daemon off; {processes}");
        Ok(Program::new(&self.program)
            // Until nginx has read its configuration, it logs to a path that was compiled in, and
            // that only root can write to.
            .args(["-e", "stderr", "-c"])
            .args([self.config.as_os_str(), "-g".as_ref(), globals.as_ref()])
            .file(&self.config)
            .stop_by(Signal::TERM, Duration::from_secs(10)))
    }

    fn check(&self) -> Result<()> {
        match http::get(&self.address, ALIVE)? {
            (204, _) => Ok(()),
            (status, _) => bail!("{ALIVE} answers {status}"),
        }
    }
}

/// Replaces `${NAME}` by its value, and leaves nginx's own `$name` alone.
fn fill_in(template: &str, values: &[(&str, String)]) -> String {
    values.iter().fold(template.to_owned(), |text, (name, value)| {
        text.replace(&format!("${{{name}}}"), value)
    })
}

/// Workers of root's nginx run as `nobody`, unless that user could not read what they serve.
fn worker_user(dirs: &[&Path]) -> &'static str {
    // From any other user nginx ignores the directive, with a warning at each start.
    if !rustix::process::geteuid().is_root() {
        ""
    } else if dirs.iter().all(|dir| files::reachable_by_all(dir)) {
        "user nobody nogroup;"
    } else {
        "user root;"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_names_are_filled_in() {
        let template = "listen ${EDGE_LISTEN}; set $x $uri; proxy ${OTHER};";

        let text = fill_in(template, &[("EDGE_LISTEN", "127.0.0.1:1".into())]);

        assert_eq!(text, "listen 127.0.0.1:1; set $x $uri; proxy ${OTHER};");
    }

    #[test]
    fn every_name_of_the_template_is_filled_in() {
        let template = include_str!("../../deploy/nginx/nginx.conf.template");
        let names =
            ["EDGE_LISTEN", "EDGE_STATE", "EDGE_WEB", "EDGE_WORKERS", "COMMAND_API", "QUERY_API"];

        let text = fill_in(template, &names.map(|name| (name, "x".to_owned())));

        assert!(!text.contains("${"), "{text}");
    }
}

//! Where this machine gets its Debian packages, as its apt lists it; knows no mirror by name.

use anyhow::Result;

use crate::command::{clean, output};

/// What apt is asked for: one line for each index of packages.
const LINE: &str = "$(REPO_URI) $(RELEASE) $(COMPONENT)";

/// One archive and one suite whose main component is taken from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PackageSource {
    /// Ends in a slash.
    uri: String,
    suite: String,
}

/// What the machine's apt is configured with, in its own order.
pub(super) fn of_machine() -> Result<Vec<PackageSource>> {
    let mut apt = clean("apt-get");
    // Otherwise apt would leave out each archive whose lists have not been fetched or were removed.
    apt.args(["indextargets", "--no-release-info", "--format", LINE, "Identifier: Packages"]);
    Ok(parse(&output(&mut apt)?))
}

fn parse(lines: &str) -> Vec<PackageSource> {
    let mut sources = Vec::new();
    for line in lines.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [uri, suite, "main"] = *words else { continue };
        let source = PackageSource { uri: uri.to_owned(), suite: suite.to_owned() };
        // Each architecture has an index of its own.
        if !sources.contains(&source) {
            sources.push(source);
        }
    }
    sources
}

/// The archive to build a suite from: the one that has it, else the one that has the machine's own.
pub(super) fn mirror(sources: &[PackageSource], suite: &str) -> Option<String> {
    let exact = sources.iter().find(|source| source.suite == suite);
    // A machine of another release names the same archive, with another suite.
    let other = || sources.iter().find(|source| source.uri.ends_with("/debian/"));
    exact.or_else(other).map(|source| source.uri.clone())
}

/// The `sources.list` of an image of the suite.
pub(super) fn lines(sources: &[PackageSource], suite: &str, mirror: &str) -> String {
    let first = format!("deb {mirror} {suite} main\n");
    let updates = sources.iter().filter(|source| is_update_of(&source.suite, suite));
    let updates = updates.map(|source| format!("deb {} {} main\n", source.uri, source.suite));
    std::iter::once(first).chain(updates).collect()
}

fn is_update_of(name: &str, suite: &str) -> bool {
    name.strip_prefix(suite).is_some_and(|rest| matches!(rest, "-updates" | "-security"))
}

/// Out of `apt-config dump`, what decides how archives are reached and whether old ones are taken.
pub(super) fn access_settings(dump: &str) -> String {
    let wanted = ["Acquire::http", "Acquire::https", "Acquire::Check-", "Acquire::Retries"];
    dump.lines()
        .filter(|line| wanted.iter().any(|prefix| line.starts_with(prefix)))
        // A line with an empty value only opens a group of settings.
        .filter(|line| !line.contains("\"\""))
        .fold(String::new(), |text, line| text + line + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTED: &str = "http://other.example/apt/ nodistro main\n\
        http://mirror.example/debian/ bookworm main\n\
        http://mirror.example/debian/ bookworm contrib\n\
        http://flat.example/ ./ \n\
        http://mirror.example/debian/ bookworm main\n\
        http://mirror.example/debian/ bookworm-updates main\n\
        http://mirror.example/debian-security/ bookworm-security main\n";

    #[test]
    fn an_archive_is_listed_once_for_each_suite_with_a_main_component() {
        let suites: Vec<String> = parse(LISTED).into_iter().map(|source| source.suite).collect();

        assert_eq!(suites, ["nodistro", "bookworm", "bookworm-updates", "bookworm-security"]);
    }

    #[test]
    fn the_mirror_is_the_archive_that_has_the_suite() {
        let mirror = mirror(&parse(LISTED), "bookworm");

        assert_eq!(mirror.as_deref(), Some("http://mirror.example/debian/"));
    }

    #[test]
    fn a_machine_of_another_release_still_names_its_mirror() {
        let all = parse(LISTED);

        assert_eq!(mirror(&all, "trixie").as_deref(), Some("http://mirror.example/debian/"));
        assert_eq!(mirror(&all[..1], "trixie"), None);
    }

    #[test]
    fn an_image_gets_the_suite_its_updates_and_its_security_fixes() {
        let text = lines(&parse(LISTED), "bookworm", "http://mirror.example/debian/");

        assert_eq!(
            text,
            "deb http://mirror.example/debian/ bookworm main\n\
             deb http://mirror.example/debian/ bookworm-updates main\n\
             deb http://mirror.example/debian-security/ bookworm-security main\n"
        );
    }

    #[test]
    fn only_settings_about_access_are_copied() {
        let dump = "Acquire \"\";\nAcquire::Check-Date \"false\";\nAcquire::http::Proxy \"http://p.example:1\";\n\
                    Acquire::GzipIndexes \"true\";\nAcquire::https \"\";\n";

        assert_eq!(
            access_settings(dump),
            "Acquire::Check-Date \"false\";\nAcquire::http::Proxy \"http://p.example:1\";\n"
        );
    }
}

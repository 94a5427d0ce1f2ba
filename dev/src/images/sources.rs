//! Reads where this machine gets its Debian packages, in both forms of apt's source files. Pure
//! but for the reading itself; knows no mirror by name.

use std::fs;
use std::path::PathBuf;

/// One archive and the suites that are taken from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PackageSource {
    uri: String,
    suites: Vec<String>,
    components: Vec<String>,
}

/// What the machine's apt is configured with.
pub(super) fn of_machine() -> Vec<PackageSource> {
    let mut files = vec![PathBuf::from("/etc/apt/sources.list")];
    if let Ok(entries) = fs::read_dir("/etc/apt/sources.list.d") {
        let mut more: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        // In apt's own order, so that the first archive that fits is the one that apt asks first.
        more.sort();
        files.extend(more);
    }
    files
        .iter()
        .flat_map(|file| {
            let text = fs::read_to_string(file).unwrap_or_default();
            match file.extension().and_then(|extension| extension.to_str()) {
                Some("list") => parse_lines(&text),
                Some("sources") => parse_stanzas(&text),
                _ => Vec::new(),
            }
        })
        .collect()
}

/// One `deb` line for each archive: the form of `sources.list`.
fn parse_lines(text: &str) -> Vec<PackageSource> {
    text.lines()
        .filter_map(|line| {
            let line = line.split('#').next()?.trim();
            let rest = line.strip_prefix("deb ")?.trim_start();
            let rest = if rest.starts_with('[') { rest.split_once(']')?.1 } else { rest };
            let mut words = rest.split_whitespace().map(str::to_owned);
            Some(PackageSource {
                uri: words.next()?,
                suites: vec![words.next()?],
                components: words.collect(),
            })
        })
        .collect()
}

/// Stanzas of fields: the form of `*.sources`.
fn parse_stanzas(text: &str) -> Vec<PackageSource> {
    // A comment may stand inside of a stanza, which it does not end.
    let plain: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    plain.split(|line| line.trim().is_empty()).flat_map(parse_stanza).collect()
}

fn parse_stanza(lines: &[&str]) -> Vec<PackageSource> {
    let words = |name: &str| -> Vec<String> {
        let field = lines.iter().filter_map(|line| line.split_once(':'));
        let value = field.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value);
        value.flat_map(str::split_whitespace).map(str::to_owned).collect()
    };
    let off = words("Enabled").iter().any(|word| word == "no");
    if off || !words("Types").iter().any(|word| word == "deb") {
        return Vec::new();
    }
    let source =
        |uri| PackageSource { uri, suites: words("Suites"), components: words("Components") };
    words("URIs").into_iter().map(source).collect()
}

/// The archive to build a suite from: the one that has it, else the one that has the machine's own.
pub(super) fn mirror(sources: &[PackageSource], suite: &str) -> Option<String> {
    let main = |source: &&PackageSource| source.components.iter().any(|part| part == "main");
    let exact = sources.iter().filter(main).find(|source| source.suites.iter().any(|s| s == suite));
    // A machine of another release names the same archive, with another suite.
    let debian = |source: &&PackageSource| source.uri.trim_end_matches('/').ends_with("/debian");
    let other = || sources.iter().filter(main).find(debian);
    exact.or_else(other).map(|source| source.uri.clone())
}

/// The `sources.list` of an image of the suite.
pub(super) fn lines(sources: &[PackageSource], suite: &str, mirror: &str) -> String {
    let first = format!("deb {mirror} {suite} main\n");
    let main = |source: &&PackageSource| source.components.iter().any(|part| part == "main");
    let related = sources.iter().filter(main).flat_map(|source| {
        let updates = source.suites.iter().filter(|name| is_update_of(name, suite));
        updates.map(|name| format!("deb {} {name} main\n", source.uri))
    });
    std::iter::once(first).chain(related).collect()
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

    const STANZAS: &str = "# comment\nTypes: deb deb-src\n# between\nURIs: http://mirror.example/debian\n\
        Suites: bookworm bookworm-updates\nComponents: main contrib\nSigned-By: /k.gpg\n\n\
        Types: deb\nURIs: http://mirror.example/debian-security\nSuites: bookworm-security\nComponents: main\n\n\
        Types: deb\nURIs: http://off.example/debian\nSuites: bookworm\nComponents: main\nEnabled: no\n";

    fn source(uri: &str, suites: &[&str], components: &[&str]) -> PackageSource {
        let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        PackageSource { uri: uri.to_owned(), suites: owned(suites), components: owned(components) }
    }

    #[test]
    fn stanzas_are_read_without_comments_and_disabled_ones() {
        assert_eq!(
            parse_stanzas(STANZAS),
            [
                source(
                    "http://mirror.example/debian",
                    &["bookworm", "bookworm-updates"],
                    &["main", "contrib"]
                ),
                source("http://mirror.example/debian-security", &["bookworm-security"], &["main"]),
            ]
        );
    }

    #[test]
    fn lines_are_read_with_and_without_options() {
        let text = "# none\ndeb [arch=amd64 signed-by=/k.gpg] http://a.example/x bookworm main # why\n\
                    deb-src http://a.example/x bookworm main\ndeb http://b.example/y stable extra\n";

        assert_eq!(
            parse_lines(text),
            [
                source("http://a.example/x", &["bookworm"], &["main"]),
                source("http://b.example/y", &["stable"], &["extra"])
            ]
        );
    }

    #[test]
    fn the_mirror_is_the_archive_that_has_the_suite() {
        let third_party = source("http://other.example/apt", &["nodistro"], &["main"]);
        let mut all = vec![third_party];
        all.extend(parse_stanzas(STANZAS));

        assert_eq!(mirror(&all, "bookworm").as_deref(), Some("http://mirror.example/debian"));
    }

    #[test]
    fn a_machine_of_another_release_still_names_its_mirror() {
        let all = [
            source("http://other.example/apt", &["nodistro"], &["main"]),
            source("http://mirror.example/debian/", &["trixie"], &["main"]),
        ];

        assert_eq!(mirror(&all, "bookworm").as_deref(), Some("http://mirror.example/debian/"));
        assert_eq!(mirror(&all[..1], "bookworm"), None);
    }

    #[test]
    fn an_image_gets_the_suite_its_updates_and_its_security_fixes() {
        let text = lines(&parse_stanzas(STANZAS), "bookworm", "http://mirror.example/debian");

        assert_eq!(
            text,
            "deb http://mirror.example/debian bookworm main\n\
             deb http://mirror.example/debian bookworm-updates main\n\
             deb http://mirror.example/debian-security bookworm-security main\n"
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

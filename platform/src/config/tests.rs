//! Layers, origins and words of configuration errors.

use std::io::Write;

use serde::Deserialize;

use super::*;

const DEFAULTS: &str = r#"
[http]
listen = "127.0.0.1:8081"
[auth]
[log]
filter = "info"
format = "json"
[cells]
count = 4
names = ["a"]
"#;

const SECRET: &str = "12345678901234567890123456789012";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Service {
    http: HttpConfig,
    auth: AuthConfig,
    log: LogConfig,
    cells: Cells,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cells {
    count: u32,
    names: Vec<String>,
}

fn vars(list: &[(&str, &str)]) -> Vec<(String, String)> {
    let secret = [("RUNLEDGER__AUTH__HS256_SECRET", SECRET)];
    secret.iter().chain(list).map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

fn with(list: &[(&str, &str)]) -> Result<Service, ConfigError> {
    load_from(DEFAULTS, None, vars(list))
}

fn message(list: &[(&str, &str)]) -> String {
    with(list).unwrap_err().to_string()
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

#[test]
fn the_environment_stands_above_the_file_and_the_file_above_the_defaults() {
    let file = file("[http]\nlisten = \"127.0.0.1:1\"\n[cells]\ncount = 9\n");
    let env = vars(&[("RUNLEDGER__HTTP__LISTEN", "127.0.0.1:2")]);
    let service: Service = load_from(DEFAULTS, Some(file.path()), env).unwrap();
    assert_eq!(service.http.listen.port(), 2);
    assert_eq!(service.cells.count, 9);
    assert_eq!(service.cells.names, ["a"]);
    assert_eq!(service.log.format, LogFormat::Json);
    assert_eq!(service.http.body_bytes_max, 1024 * 1024);
}

#[test]
fn a_secret_of_digits_stays_text() {
    let service = with(&[]).unwrap();
    assert_eq!(service.auth.hs256_secret.expose_bytes(), SECRET.as_bytes());
}

#[test]
fn text_that_looks_like_something_else_stays_text() {
    let texts = [("RUNLEDGER__AUTH__ISSUER", "007"), ("RUNLEDGER__AUTH__AUDIENCE", "[true]")];
    let service = with(&texts).unwrap();
    assert_eq!(service.auth.issuer.as_deref(), Some("007"));
    assert_eq!(service.auth.audience.as_deref(), Some("[true]"));
}

#[test]
fn values_take_the_type_of_their_key_with_or_without_a_default() {
    let bare = [("RUNLEDGER__AUTH__LEEWAY_SECONDS", "5"), ("RUNLEDGER__HTTP__BODY_BYTES_MAX", "9")];
    let service = with(&bare).unwrap();
    assert_eq!((service.auth.leeway_seconds, service.http.body_bytes_max), (5, 9));
    let service =
        with(&[("RUNLEDGER__CELLS__COUNT", "12"), ("RUNLEDGER__CELLS__NAMES", "[\"x\", \"y\"]")])
            .unwrap();
    assert_eq!(service.cells.count, 12);
    assert_eq!(service.cells.names, ["x", "y"]);
}

#[test]
fn variables_of_other_services_and_of_other_programs_are_not_read() {
    let others = [
        ("RUNLEDGER__DOCKER__HOST", "x"),
        ("RUNLEDGER_URL", "x"),
        ("RUNLEDGER__HTTP", "x"),
        ("HOME", "/root"),
    ];
    with(&others).unwrap();
}

#[test]
fn an_unknown_key_in_a_known_section_is_named_with_the_valid_ones() {
    assert_eq!(
        message(&[("RUNLEDGER__HTTP__LISTNE", "x")]),
        "`http.listne` (from RUNLEDGER__HTTP__LISTNE): no such key here; valid keys are listen, body_bytes_max"
    );
}

#[test]
fn a_bad_value_is_named_with_its_variable_and_what_is_expected() {
    assert_eq!(
        message(&[("RUNLEDGER__HTTP__LISTEN", "here")]),
        "`http.listen` (from RUNLEDGER__HTTP__LISTEN): expected an address and port such as 127.0.0.1:8081, found \"here\""
    );
    assert_eq!(
        message(&[("RUNLEDGER__CELLS__COUNT", "many")]),
        "`cells.count` (from RUNLEDGER__CELLS__COUNT): expected u32, found string \"many\""
    );
    assert_eq!(
        message(&[("RUNLEDGER__LOG__FORMAT", "xml")]),
        "`log.format` (from RUNLEDGER__LOG__FORMAT): expected one of json, text, found \"xml\""
    );
    assert!(message(&[("RUNLEDGER__LOG__FILTER", "info,[[")]).contains("RUNLEDGER__LOG__FILTER"));
}

#[test]
fn a_bad_value_in_a_file_is_named_with_the_file() {
    let file = file("[cells]\ncount = \"many\"\n");
    let error = load_from::<Service>(DEFAULTS, Some(file.path()), vars(&[])).unwrap_err();
    let path = file.path().display();
    assert_eq!(
        error.to_string(),
        format!("`cells.count` (from file {path}): expected u32, found string \"many\"")
    );
}

#[test]
fn a_file_that_is_absent_or_no_toml_is_named() {
    let absent =
        load_from::<Service>(DEFAULTS, Some(Path::new("/nowhere/x.toml")), vars(&[])).unwrap_err();
    assert_eq!(absent.to_string(), "cannot read the configuration file /nowhere/x.toml");
    let broken = file("[cells\n");
    let error = load_from::<Service>(DEFAULTS, Some(broken.path()), vars(&[])).unwrap_err();
    assert!(error.to_string().contains("is not valid TOML"), "{error}");
}

#[test]
fn a_missing_key_is_named_with_the_variable_that_would_set_it() {
    let error = load_from::<Service>(DEFAULTS, None, []).unwrap_err().to_string();
    assert_eq!(
        error,
        "`auth.hs256_secret` is required: set RUNLEDGER__AUTH__HS256_SECRET, or the key in the file given with --config"
    );
}

#[test]
fn a_short_secret_is_refused_and_never_shown() {
    let error = load_from::<Service>(
        DEFAULTS,
        None,
        [("RUNLEDGER__AUTH__HS256_SECRET".to_owned(), "hunter2".to_owned())],
    );
    let text = error.unwrap_err().to_string();
    assert!(text.ends_with("expected a secret of at least 32 bytes, found 7"), "{text}");
    let number = file("[auth]\nhs256_secret = 424242\n");
    let text = load_from::<Service>(DEFAULTS, Some(number.path()), []).unwrap_err().to_string();
    assert!(!text.contains("424242"), "{text}");
    assert!(!format!("{:?}", with(&[]).unwrap()).contains(SECRET));
}

//! The program as people run it, against a fake server: what is sent, what is printed, and what the
//! exit code says.

use std::path::PathBuf;
use std::process::Output;

use serde_json::{Value, json};
use wiremock::matchers::{body_partial_json, header, header_exists, method, path, query_param};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

const ID: &str = "0190a1b2-c3d4-7e5f-8a6b-7c8d9e0f1a2b";

/// Runs the program against `url` with a file `main.py` in its directory.
async fn run(url: &str, args: &[&str]) -> Output {
    let dir = tempfile::tempdir().expect("a directory can be made");
    std::fs::write(dir.path().join("main.py"), "print('hi')").expect("a file can be written");
    let mut command = tokio::process::Command::new(PathBuf::from(env!("CARGO_BIN_EXE_runledger")));
    command.args(args).current_dir(dir.path()).env_clear();
    command.env("RUNLEDGER_URL", url).env("RUNLEDGER_TOKEN", "the-token");
    command.output().await.expect("the program was built")
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("it writes UTF-8")
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("it writes UTF-8")
}

fn code(output: &Output) -> i32 {
    output.status.code().expect("it ends by itself")
}

fn standing() -> Value {
    json!({ "id": ID, "sequence": 7, "state": "accepted", "links": {} })
}

fn view(state: &str, verdict: Option<&str>) -> Value {
    json!({
        "id": ID, "state": state, "verdict": verdict, "language": { "slug": "python", "version": "3.11" },
        "attempt": 1, "exit_code": 0, "signal": null, "limit": null, "stdout": "hi\n", "stdout_bytes": 3,
        "usage": { "cpu_ms": 9.5, "wall_ms": 12.0, "memory_kib": 9000 }, "cases": [], "score": null,
        "failure": null, "sequence": 9,
    })
}

fn languages() -> Value {
    json!({ "languages": [
        { "slug": "python", "name": "Python", "version": "3.11", "aliases": ["py"], "extensions": ["py"] },
    ]})
}

fn json(status: u16, body: &Value) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_json(body)
}

fn problem(status: u16, body: &Value) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_raw(body.to_string(), "application/problem+json")
}

async fn keys(server: &MockServer) -> Vec<String> {
    let key = |request: &Request| {
        String::from_utf8_lossy(request.headers["idempotency-key"].as_bytes()).into_owned()
    };
    let requests = server.received_requests().await.expect("requests are recorded");
    requests.iter().filter(|request| request.method == "POST").map(key).collect()
}

#[tokio::test]
async fn a_submission_guesses_its_language_and_says_where_it_stands() {
    let server = MockServer::start().await;
    let body =
        json!({ "language": "python", "files": [{ "name": "main.py", "content": "print('hi')" }] });
    Mock::given(path("/v1/languages"))
        .respond_with(json(200, &languages()))
        .expect(1)
        .mount(&server)
        .await;
    Mock::given(method("POST"))
        .and(path("/v1/submissions"))
        .and(header("authorization", "Bearer the-token"))
        .and(header("content-type", "application/json"))
        .and(header_exists("idempotency-key"))
        .and(body_partial_json(body))
        .respond_with(json(202, &standing()))
        .expect(1)
        .mount(&server)
        .await;

    let output = run(&server.uri(), &["submit", "main.py"]).await;

    assert_eq!(stdout(&output), format!("accepted {ID} at sequence 7\n"), "{output:?}");
    assert_eq!((code(&output), stderr(&output).as_str()), (0, ""));
}

#[tokio::test]
async fn foreign_messages_are_listed_and_cannot_steer_a_terminal() {
    let server = MockServer::start().await;
    let message = json!({
        "ledger": ID, "sequence": 12, "subject": "ledger.oops", "length": 2, "sha256": "8f43",
        "reason": "not a \u{1b}[2J stored event", "stored_at": "2027-01-15T08:00:00.000000Z",
        "bytes": "aGk=",
    });
    Mock::given(method("GET"))
        .and(path("/v1/admin/quarantine"))
        .and(query_param("limit", "20"))
        .respond_with(json(200, &json!({ "items": [message], "next": "MToxMg" })))
        .expect(1)
        .mount(&server)
        .await;

    let output = run(&server.uri(), &["quarantine"]).await;

    let text = stdout(&output);
    assert_eq!(code(&output), 0, "{output:?}");
    for part in ["12", "ledger.oops", "8f43", "not a \\x1b[2J stored event", "--cursor MToxMg"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[tokio::test]
async fn watching_polls_from_the_sequence_that_was_promised_until_the_end() {
    let server = MockServer::start().await;
    Mock::given(method("POST")).respond_with(json(202, &standing())).mount(&server).await;
    let poll = |sequence: &str| {
        Mock::given(method("GET"))
            .and(path(format!("/v1/submissions/{ID}")))
            .and(query_param("wait", "30"))
            .and(query_param("min_seq", sequence))
    };
    poll("7")
        .respond_with(json(200, &view("running", None)))
        .up_to_n_times(1)
        .expect(1)
        .mount(&server)
        .await;
    poll("9")
        .respond_with(json(200, &view("completed", Some("finished"))))
        .expect(1)
        .mount(&server)
        .await;

    let output =
        run(&server.uri(), &["submit", "main.py", "--language", "python", "--watch"]).await;

    assert!(stdout(&output).starts_with("finished · python 3.11 · exit 0"), "{output:?}");
    assert!(stdout(&output).ends_with("--- stdout (3 bytes)\nhi\n"), "{output:?}");
    let told = format!("runledger: accepted {ID}\n");
    assert_eq!((code(&output), stderr(&output)), (0, told));
}

#[tokio::test]
async fn the_exit_code_is_that_of_the_end() {
    for (state, verdict, expected) in [
        ("completed", Some("accepted"), 0),
        ("completed", Some("wrong_answer"), 1),
        ("completed", Some("compile_error"), 1),
        ("failed", None, 5),
        ("cancelled", None, 5),
    ] {
        let server = MockServer::start().await;
        Mock::given(method("GET"))
            .respond_with(json(200, &view(state, verdict)))
            .mount(&server)
            .await;
        for command in ["watch", "show"] {
            let output = run(&server.uri(), &[command, ID]).await;
            assert_eq!(code(&output), expected, "{command} {state} {verdict:?}: {output:?}");
        }
    }
}

#[tokio::test]
async fn a_retried_submission_repeats_its_key_and_so_cannot_run_twice() {
    let server = MockServer::start().await;
    let away = ResponseTemplate::new(503).insert_header("retry-after", "0");
    Mock::given(method("POST")).respond_with(away).up_to_n_times(2).mount(&server).await;
    Mock::given(method("POST")).respond_with(json(202, &standing())).mount(&server).await;

    let output = run(&server.uri(), &["submit", "main.py", "-l", "python"]).await;

    let keys = keys(&server).await;
    assert_eq!((code(&output), keys.len()), (0, 3), "{output:?}");
    assert!(keys.iter().all(|key| *key == keys[0] && !key.is_empty()), "{keys:?}");
    assert!(stderr(&output).contains("trying again"), "{output:?}");
}

#[tokio::test]
async fn two_submissions_have_two_keys_unless_one_is_given() {
    let server = MockServer::start().await;
    Mock::given(method("POST")).respond_with(json(202, &standing())).mount(&server).await;
    for _ in 0..2 {
        run(&server.uri(), &["submit", "main.py", "-l", "python"]).await;
    }
    run(&server.uri(), &["submit", "main.py", "-l", "python", "--idempotency-key", "mine"]).await;

    let keys = keys(&server).await;
    assert_ne!(keys[0], keys[1]);
    assert_eq!(keys[2], "mine");
}

#[tokio::test]
async fn a_server_that_stays_away_is_given_up_after_the_last_retry() {
    let server = MockServer::start().await;
    let body = json!({ "title": "Not available at the moment", "status": 503, "detail": "the ledger is full" });
    let away = problem(503, &body).insert_header("retry-after", "0");
    Mock::given(method("POST")).respond_with(away).expect(3).mount(&server).await;

    let output = run(&server.uri(), &["submit", "main.py", "-l", "python", "--retries", "2"]).await;

    assert_eq!(code(&output), 4, "{output:?}");
    assert!(stderr(&output).contains("the ledger is full (tried 3 times)"), "{output:?}");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let uri = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);

    let output = run(&uri, &["show", ID, "--retries", "1"]).await;

    assert_eq!(code(&output), 4, "{output:?}");
    assert!(stderr(&output).contains(&format!("cannot reach {uri} (tried 2 times)")), "{output:?}");
}

#[tokio::test]
async fn a_refusal_shows_every_fault_and_is_not_tried_again() {
    let server = MockServer::start().await;
    let body = json!({
        "type": "/problems/invalid", "title": "The request breaks a rule", "status": 422, "detail": "see errors",
        "errors": [{ "pointer": "/language", "detail": "there is none" }, { "pointer": "/limits/cpu_time_ms", "detail": "too much" }],
    });
    Mock::given(method("POST")).respond_with(problem(422, &body)).expect(1).mount(&server).await;

    let output = run(&server.uri(), &["submit", "main.py", "-l", "cobol"]).await;

    assert_eq!((code(&output), stdout(&output).as_str()), (3, ""));
    let expected = "runledger: the server refused the request: The request breaks a rule (422): see errors\n  \
                    /language: there is none\n  /limits/cpu_time_ms: too much\n";
    assert_eq!(stderr(&output), expected);
}

#[tokio::test]
async fn what_is_wrong_with_the_command_line_is_found_before_anything_is_sent() {
    let server = MockServer::start().await;
    Mock::given(path("/v1/languages")).respond_with(json(200, &languages())).mount(&server).await;
    for (args, said) in [
        (&["submit", "absent.py", "-l", "python"][..], "cannot read absent.py"),
        (&["submit", "main.py", "--cases-dir", ".", "-l", "python"], "has no *.in file"),
        (&["submit", "absent.py", "--idempotency-key", "a\nb"], "visible ASCII"),
        (&["--url", "ftp://x", "languages"], "not a server's address"),
        (&["token", "mint", "--sub", "student-17", "--scope", "submit"], "no secret"),
        (&["submit"], "required"),
    ] {
        let output = run(&server.uri(), args).await;
        assert_eq!(code(&output), 2, "{args:?}: {output:?}");
        assert!(stderr(&output).contains(said), "{args:?}: {output:?}");
    }
    assert_eq!(keys(&server).await, Vec::<String>::new());
}

#[tokio::test]
async fn json_is_what_the_server_said() {
    let server = MockServer::start().await;
    let ended = view("completed", Some("wrong_answer"));
    Mock::given(method("POST")).respond_with(json(202, &standing())).mount(&server).await;
    Mock::given(path("/v1/languages")).respond_with(json(200, &languages())).mount(&server).await;
    Mock::given(method("GET")).respond_with(json(200, &ended)).mount(&server).await;

    for (args, expected, exit) in [
        (&["submit", "main.py", "--json"][..], standing(), 0),
        (&["submit", "main.py", "--json", "--watch"], ended.clone(), 1),
        (&["show", ID, "--json"], ended, 1),
        (&["languages", "--json"], languages(), 0),
        (&["cancel", ID, "--json"], standing(), 0),
    ] {
        let output = run(&server.uri(), args).await;
        assert_eq!(
            serde_json::from_slice::<Value>(&output.stdout).ok(),
            Some(expected),
            "{args:?}: {output:?}"
        );
        assert_eq!(code(&output), exit, "{args:?}");
    }
}

#[tokio::test]
async fn events_are_printed_byte_by_byte_as_they_are_stored() {
    let server = MockServer::start().await;
    let first = r#"{"type":"submission.accepted","attempt":0,"actor":"user:student-17", "data":{"language":{"slug":"c"},"files":[]}}"#;
    let body = format!(
        r#"[{{"sequence":7,"stored_at":"2027-01-15T08:00:00.000000Z","subject":"s","event":{first}}}]"#
    );
    let answer = ResponseTemplate::new(200).set_body_raw(body, "application/json");
    Mock::given(path(format!("/v1/submissions/{ID}/events")))
        .respond_with(answer)
        .mount(&server)
        .await;

    let raw = run(&server.uri(), &["events", ID, "--json"]).await;
    let table = run(&server.uri(), &["events", ID]).await;

    assert_eq!(stdout(&raw), format!("{first}\n"));
    assert!(stdout(&table).contains("submission.accepted        0  user:student-17"), "{table:?}");
    assert!(stdout(&table).ends_with("the hash chain holds\n"), "{table:?}");
}

#[tokio::test]
async fn a_cancellation_carries_its_reason() {
    let server = MockServer::start().await;
    let body = json!({ "reason": "bored" });
    Mock::given(method("POST"))
        .and(path(format!("/v1/submissions/{ID}/cancel")))
        .and(body_partial_json(body))
        .respond_with(json(
            202,
            &json!({ "id": ID, "sequence": 9, "state": "cancelling", "links": {} }),
        ))
        .expect(1)
        .mount(&server)
        .await;

    let output = run(&server.uri(), &["cancel", ID, "--reason", "bored"]).await;

    assert_eq!((code(&output), stdout(&output)), (0, format!("cancelling {ID}\n")));
}

#[tokio::test]
async fn what_is_cancelled_already_is_as_it_was_wished() {
    for (state, expected) in [("cancelled", 0), ("completed", 3)] {
        let server = MockServer::start().await;
        let ended =
            json!({ "type": "/problems/already-ended", "title": "It has ended", "status": 409 });
        Mock::given(method("POST")).respond_with(problem(409, &ended)).mount(&server).await;
        let found = json!({ "id": ID, "sequence": 9, "state": state });
        Mock::given(method("GET")).respond_with(json(200, &found)).mount(&server).await;

        let output = run(&server.uri(), &["cancel", ID]).await;

        assert_eq!(code(&output), expected, "{output:?}");
    }
}

#[tokio::test]
async fn a_minted_token_is_one_that_the_services_believe() {
    use platform::auth::{Scope, Verifier};
    use platform::config::{AuthConfig, TokenSecret};
    const SECRET: &str = "0123456789abcdef0123456789abcdef";
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("secret");
    std::fs::write(&file, format!("{SECRET}\n")).unwrap();
    let args = [
        "token",
        "mint",
        "--sub",
        "student-17",
        "--scope",
        "submit read:any",
        "--secret-file",
        file.to_str().unwrap(),
    ];

    let output = run("http://127.0.0.1:9", &args).await;

    assert_eq!(code(&output), 0, "{output:?}");
    let hs256_secret = TokenSecret::try_from(SECRET.to_owned()).unwrap();
    let config = AuthConfig { hs256_secret, issuer: None, audience: None, leeway_seconds: 0 };
    let principal = Verifier::new(&config).verify(stdout(&output).trim()).unwrap();
    assert_eq!(principal.user.as_str(), "student-17");
    assert!(
        principal.may(Scope::Submit)
            && principal.may(Scope::ReadAny)
            && !principal.may(Scope::Admin)
    );
}

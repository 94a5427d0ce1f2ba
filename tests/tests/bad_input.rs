//! Bad input, row by row, through the edge. There is no executor, since no bad input may reach one:
//! each test ends with a look into the ledger.

use anyhow::{Context, Result, ensure};
use blackbox::audit::Audit;
use blackbox::client::TestClient;
use blackbox::programs::{base64, python};
use blackbox::tokens::{Secret, claims};
use blackbox::wire::{post_everything, send_raw};
use blackbox::world::{World, WorldBuilder};
use reqwest::Method;
use serde_json::{Value, json};

const SUBMISSIONS: &str = "/v1/submissions";

/// Plays a scenario after which the ledger has to be empty.
async fn play(scenario: impl AsyncFnOnce(&TestClient, &World) -> Result<()>) -> Result<()> {
    WorldBuilder::default()
        .executors(0)
        .edge()
        .play(async |world| {
            scenario(&world.user("student-17")?, world).await?;
            let audit = Audit::read(world).await?;
            ensure!(
                audit.messages.is_empty(),
                "bad input got into the ledger: {:?}",
                audit.messages
            );
            Ok(())
        })
        .await
}

async fn refused(
    user: &TestClient,
    body: &Value,
    status: u16,
    slug: &str,
    pointers: &[&str],
) -> Result<()> {
    let answer = user.post(SUBMISSIONS, body).await?;
    answer.expect_problem(status, slug).with_context(|| body.to_string())?;
    ensure!(
        answer.pointers() == pointers,
        "{:?} instead of {pointers:?} for {body}",
        answer.pointers()
    );
    Ok(())
}

/// Adds a member to a good submission.
fn with(name: &str, value: Value) -> Value {
    let mut body = python("print(1)");
    body[name] = value;
    body
}

#[tokio::test]
async fn a_body_that_is_not_json_is_malformed() -> Result<()> {
    play(async |user, _| {
        for body in [
            "",
            "{",
            "nonsense",
            "{\"language\":}",
            "\u{feff}{}",
            "{}{}",
            "\"\\ud800\"",
            &"[".repeat(100_000),
        ] {
            let answer =
                user.send(Method::POST, SUBMISSIONS, &[], Some(body.as_bytes().to_vec())).await?;
            answer
                .expect_problem(400, "malformed")
                .with_context(|| body.chars().take(40).collect::<String>())?;
        }
        let answer = user
            .send(Method::POST, SUBMISSIONS, &[], Some(vec![b'{', b'"', 0xff, b'"', b'}']))
            .await?;
        answer.expect_problem(400, "malformed")
    })
    .await
}

#[tokio::test]
async fn a_malformed_body_is_told_with_the_pointer_of_its_first_fault() -> Result<()> {
    play(async |user, _| {
        for (body, pointer) in [
            (json!([]), ""),
            (json!("text"), ""),
            (json!({}), ""),
            (json!({ "language": 7, "source": [] }), "/language"),
            (with("sauce", json!(1)), "/sauce"),
            (with("limits", json!({ "cpu_time_ms": "fast", "warp": 9 })), "/limits/cpu_time_ms"),
            (with("args", json!(["a", 1, null])), "/args/1"),
            (
                with("cases", json!([{ "stdin": "1", "expected": "1" }, { "stdin": 2 }])),
                "/cases/1/stdin",
            ),
            (with("stop_on_first_failure", json!("yes")), "/stop_on_first_failure"),
            (with("checker", json!(5)), "/checker"),
            (json!({ "language": "python", "files": [{ "name": "a" }] }), "/files/0"),
        ] {
            refused(user, &body, 400, "malformed", &[pointer]).await?;
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_pointer_escapes_what_rfc_6901_escapes() -> Result<()> {
    play(async |user, _| {
        refused(user, &with("a/b~c", json!(1)), 400, "malformed", &["/a~1b~0c"]).await
    })
    .await
}

#[tokio::test]
async fn well_formed_submissions_that_break_rules_are_invalid_with_every_fault_at_once()
-> Result<()> {
    let file = |name: &str| json!({ "name": name, "content": "x" });
    let files = |files: Vec<Value>| json!({ "language": "python", "files": files });
    let main = || file("main.py");
    let too_many = |count: usize, item: &Value| Value::Array(vec![item.clone(); count]);
    let case = json!({ "stdin": "", "expected": "" });
    play(async |user, _| {
        for (body, pointers) in [
            (json!({ "language": "klingon", "source": "x" }), &["/language"][..]),
            (json!({ "language": "python" }), &[""]),
            (json!({ "language": "python", "source": "" }), &["/source"]),
            (json!({ "language": "python", "source": "x", "files": [main()] }), &["/files"]),
            (files(vec![]), &["/files"]),
            (files(vec![main(), file("../etc/passwd")]), &["/files/1/name"]),
            (files(vec![main(), file("a/../../b")]), &["/files/1/name"]),
            (files(vec![main(), file("/etc/passwd")]), &["/files/1/name"]),
            (files(vec![main(), file("a\0b")]), &["/files/1/name"]),
            (files(vec![main(), file("")]), &["/files/1/name"]),
            (files(vec![main(), file(&"x".repeat(256))]), &["/files/1/name"]),
            (files(vec![main(), main()]), &["/files/1/name"]),
            (files(vec![main(), file("lib"), file("lib/a.py")]), &["/files/1/name"]),
            (files((0..65).map(|n| file(&format!("{n}.py"))).collect()), &["/files"]),
            (with("cases", too_many(257, &case)), &["/cases"]),
            (with("cases", json!([])), &["/cases"]),
            (with("args", too_many(65, &json!("a"))), &["/args"]),
            (with("args", json!(["ok", "a\0b"])), &["/args/1"]),
            (with("encoding", json!("rot13")), &["/encoding"]),
            (with("checker", json!("mood")), &["/checker"]),
            (with("checker", json!({ "type": "floats", "tolerance": 7 })), &["/checker/tolerance"]),
            (with("limits", json!({ "cpu_time_ms": 15_001, "memory_kib": 1, "processes": 0 })),
             &["/limits/cpu_time_ms", "/limits/memory_kib", "/limits/processes"]),
            (with("limits", json!({ "wall_time_ms": 99_999_999_999_999_u64, "output_bytes": -1 })),
             &["/limits/output_bytes", "/limits/wall_time_ms"]),
            (json!({ "language": "python", "encoding": "base64", "source": "!", "stdin": "x" }), &["/source", "/stdin"]),
        ] {
            refused(user, &body, 422, "invalid", pointers).await?;
        }
        let all = json!({
            "language": "klingon", "files": [file("/a"), file("..")], "limits": { "cpu_time_ms": 1_000_000 },
            "cases": [{ "expected": "", "points": -1 }], "checker": "mood",
        });
        let pointers =
            ["/cases/0/points", "/checker", "/files/0/name", "/files/1/name", "/language", "/limits/cpu_time_ms"];
        refused(user, &all, 422, "invalid", &pointers).await
    })
    .await
}

#[tokio::test]
async fn only_json_is_read() -> Result<()> {
    play(async |user, world| {
        let body = python("print(1)").to_string();
        let token = world.secret().token("student-17", "submit")?;
        for content_type in ["text/plain", "application/x-www-form-urlencoded", ""] {
            let request = format!(
                "POST {SUBMISSIONS} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\
                 content-type: {content_type}\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
            let answer = send_raw(&world.edge()?.address, request.as_bytes()).await?;
            ensure!(answer.starts_with("HTTP/1.1 415 "), "{content_type:?}: {answer}");
            ensure!(answer.contains("/problems/unsupported-media-type"), "{answer}");
        }
        drop(user.get("/v1/languages").await?.ok()?);
        Ok(())
    })
    .await
}

const MIB: usize = 1 << 20;

#[tokio::test]
async fn a_body_over_the_limit_is_answered_and_the_connection_is_not_reset_before() -> Result<()> {
    play(async |_, world| {
        let token = world.secret().token("student-17", "submit")?;
        let head = |framing: &str| {
            format!(
                "POST {SUBMISSIONS} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\
                 content-type: application/json\r\n{framing}\r\n\r\n"
            )
        };
        let (edge, service) = (&world.edge()?.address, &world.service("command-api")?.address);
        // Just above the service's limit, far above it, and above the edge's own.
        for (address, bytes) in [
            (edge, MIB + 1),
            (edge, 4 * MIB),
            (edge, 12 * MIB),
            (service, MIB + 1),
            (service, 12 * MIB),
        ] {
            let answer =
                post_everything(address, &head(&format!("content-length: {bytes}")), bytes).await?;
            ensure!(answer.starts_with("HTTP/1.1 413 "), "{bytes} bytes to {address}: {answer}");
            ensure!(
                answer.contains("application/problem+json"),
                "{bytes} bytes to {address}: {answer}"
            );
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_body_up_to_the_limit_is_read() -> Result<()> {
    play(async |user, _| {
        // White space counts towards the size, and is well formed. The faults show that the API
        // read all of it.
        let mut body = json!({ "language": "klingon", "source": "" }).to_string();
        body.push_str(&" ".repeat(MIB - body.len()));
        let answer =
            user.send(Method::POST, SUBMISSIONS, &[], Some(body.clone().into_bytes())).await?;
        answer.expect_problem(422, "invalid")?;
        body.push(' ');
        let answer = user.send(Method::POST, SUBMISSIONS, &[], Some(body.into_bytes())).await?;
        answer.expect_problem(413, "too-large")
    })
    .await
}

/// A token whose header and claims are any text, signed with nothing.
fn forged(header: &Value, payload: &str, signature: &str) -> String {
    let part = |bytes: &[u8]| base64(bytes).replace('+', "-").replace('/', "_").replace('=', "");
    format!("{}.{payload}.{signature}", part(header.to_string().as_bytes()))
}

/// A public key, which an attacker knows, and uses as if it were the secret.
const PUBLIC_KEY: &str = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEEVs/o5+uQbTjL3chynL4wXgUg2R9\nq9UU8I5mEovUf86QZ7kOBIjJwqnzD1omageEHWwHdBO6B+dFabmdT9POxg==\n-----END PUBLIC KEY-----\n";

#[tokio::test]
async fn a_caller_without_a_good_token_is_challenged() -> Result<()> {
    play(async |user, world| {
        let good = world.secret().token("student-17", "submit")?;
        let mut parts = good.split('.');
        let (Some(header), Some(payload), Some(signature)) =
            (parts.next(), parts.next(), parts.next())
        else {
            anyhow::bail!("a token has three parts");
        };
        let expired = claims("student-17", "submit")
            .map(|claims| platform::auth::Claims { exp: claims.iat - 3_600, ..claims })?;
        let early = claims("student-17", "submit")
            .map(|claims| platform::auth::Claims { nbf: Some(claims.iat + 3_600), ..claims })?;
        let no_subject = claims("", "submit")?;
        let another = claims("student-42", "submit read:any admin")?;
        let another = world.secret().sign(&another)?;
        let stolen = another.split('.').nth(1).context("a payload")?.to_owned();
        let none = |alg: &str| json!({ "alg": alg, "typ": "JWT" });

        for (why, token) in [
            ("nothing", None),
            ("an empty token", Some(String::new())),
            ("noise", Some("a.b.c".to_owned())),
            ("two parts", Some(format!("{header}.{payload}"))),
            ("no signature", Some(format!("{header}.{payload}."))),
            (
                "another signature",
                Some(format!("{header}.{payload}.{}", signature.chars().rev().collect::<String>())),
            ),
            ("another payload", Some(format!("{header}.{stolen}.{signature}"))),
            ("another secret", Some(Secret::new("f".repeat(64))?.token("student-17", "submit")?)),
            (
                "a public key as the secret",
                Some(Secret::new(PUBLIC_KEY.to_owned())?.token("student-17", "submit")?),
            ),
            ("alg none", Some(forged(&none("none"), payload, ""))),
            ("alg None with the signature", Some(forged(&none("None"), payload, signature))),
            ("alg RS256", Some(forged(&none("RS256"), payload, signature))),
            ("alg HS512", Some(forged(&none("HS512"), payload, signature))),
            (
                "a key of its own",
                Some(forged(
                    &json!({ "alg": "HS256", "jwk": { "kty": "oct", "k": "AAAA" } }),
                    payload,
                    signature,
                )),
            ),
            ("expired", Some(world.secret().sign(&expired)?)),
            ("not yet valid", Some(world.secret().sign(&early)?)),
            ("no subject", Some(world.secret().sign(&no_subject)?)),
            ("too long", Some("x".repeat(9_000))),
        ] {
            let caller = user.with_token(token)?;
            for answer in [
                caller.post(SUBMISSIONS, &python("print(1)")).await?,
                caller.get(SUBMISSIONS).await?,
                caller.get("/v1/languages").await?,
                caller.get("/v1/users/me/progress").await?,
                caller.get("/v1/submissions/0190a1b2-c3d4-7e5f-8a6b-7c8d9e0f1a2b").await?,
                caller.get("/v1/submissions/0190a1b2-c3d4-7e5f-8a6b-7c8d9e0f1a2b/events").await?,
                caller
                    .post("/v1/submissions/0190a1b2-c3d4-7e5f-8a6b-7c8d9e0f1a2b/cancel", &json!({}))
                    .await?,
            ] {
                answer.expect_problem(401, "unauthenticated").context(why)?;
                let challenge = answer.header("www-authenticate").unwrap_or_default();
                ensure!(challenge.starts_with("Bearer "), "{why}: the challenge is {challenge:?}");
            }
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_token_in_any_other_place_is_no_token() -> Result<()> {
    play(async |user, world| {
        let token = world.secret().token("student-17", "submit")?;
        let anonymous = user.with_token(None)?;
        let in_query = anonymous.get(&format!("/v1/languages?access_token={token}")).await?;
        in_query.expect_problem(401, "unauthenticated")?;
        let cookie = format!("access_token={token}");
        let in_cookie =
            anonymous.send(Method::GET, "/v1/languages", &[("cookie", &cookie)], None).await?;
        in_cookie.expect_problem(401, "unauthenticated")?;
        let basic = format!("Basic {}", base64(format!("student-17:{token}").as_bytes()));
        let in_basic = anonymous
            .send(Method::GET, "/v1/languages", &[("authorization", &basic)], None)
            .await?;
        in_basic.expect_problem(401, "unauthenticated")
    })
    .await
}

#[tokio::test]
async fn a_token_without_the_scope_is_forbidden() -> Result<()> {
    play(async |_, world| {
        for scope in ["", "read:any", "submitter", "SUBMIT"] {
            let caller = world.client("student-17", scope)?;
            caller
                .post(SUBMISSIONS, &python("print(1)"))
                .await?
                .expect_problem(403, "forbidden")
                .context(scope)?;
        }
        world
            .user("student-17")?
            .get("/v1/submissions?user=stranger")
            .await?
            .expect_problem(403, "forbidden")
    })
    .await
}

#[tokio::test]
async fn what_is_not_there_is_a_problem_too() -> Result<()> {
    play(async |user, _| {
        for path in ["/v1", "/v1/", "/v1/nothing", "/v1/submissions/", "/v1/submissions/1/2/3"] {
            let answer = user.get(path).await?;
            ensure!(answer.status == 404, "{path} answers {}", answer.status);
        }
        for id in
            ["x", "00000000-0000-0000-0000-000000000000", "0190A1B2-C3D4-7E5F-8A6B-7C8D9E0F1A2B"]
        {
            let path = format!("{SUBMISSIONS}/{id}");
            user.get(&path).await?.expect_problem(404, "not-found").context(id)?;
            user.post(&format!("{path}/cancel"), &json!({}))
                .await?
                .expect_problem(404, "not-found")
                .context(id)?;
        }
        for id in ["..%2f..%2fetc", "%00", "%ff"] {
            let answer = user.get(&format!("{SUBMISSIONS}/{id}")).await?;
            ensure!(answer.status.is_client_error(), "{id} answers {}", answer.status);
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_method_that_a_route_does_not_take_is_told_with_those_that_it_takes() -> Result<()> {
    play(async |user, _| {
        for (method, path) in [
            (Method::PUT, SUBMISSIONS),
            (Method::DELETE, SUBMISSIONS),
            (Method::PATCH, "/v1/submissions/0190a1b2-c3d4-7e5f-8a6b-7c8d9e0f1a2b/cancel"),
            (Method::OPTIONS, SUBMISSIONS),
        ] {
            let answer = user.send(method.clone(), path, &[], None).await?;
            answer
                .expect_problem(405, "method-not-allowed")
                .with_context(|| format!("{method} {path}"))?;
            ensure!(
                answer.header("allow").is_some_and(|allow| !allow.is_empty()),
                "{method} {path} allows nothing"
            );
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn parameters_out_of_bounds_are_malformed() -> Result<()> {
    play(async |user, _| {
        let id = "0190a1b2-c3d4-7e5f-8a6b-7c8d9e0f1a2b";
        for query in [
            format!("{SUBMISSIONS}?limit=0"),
            format!("{SUBMISSIONS}?limit=101"),
            format!("{SUBMISSIONS}?limit=ten"),
            format!("{SUBMISSIONS}?state=asleep"),
            format!("{SUBMISSIONS}?lane=fast"),
            format!("{SUBMISSIONS}?cursor=guess"),
            format!("{SUBMISSIONS}?colour=red"),
            format!("{SUBMISSIONS}/{id}?wait=31"),
            format!("{SUBMISSIONS}/{id}?wait=-1"),
            format!("{SUBMISSIONS}/{id}?wait=NaN"),
            format!("{SUBMISSIONS}/{id}?min_seq=-1"),
            format!("{SUBMISSIONS}/{id}?min_seq=x"),
        ] {
            user.get(&query)
                .await?
                .expect_problem(400, "malformed")
                .with_context(|| query.clone())?;
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn an_idempotency_key_out_of_bounds_is_malformed() -> Result<()> {
    play(async |user, _| {
        for key in ["", &"k".repeat(256)] {
            user.submit_keyed(&python("print(1)"), key).await?.expect_problem(400, "malformed")?;
        }
        Ok(())
    })
    .await
}

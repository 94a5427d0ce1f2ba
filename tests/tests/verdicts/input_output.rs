//! Input, arguments, files, outputs, and ends that are errors of the program.

use anyhow::{Result, ensure};
use blackbox::programs::{base64, bytes, c, expect, python, text};
use serde_json::json;

use super::play;

#[tokio::test]
async fn a_program_reads_its_standard_input() -> Result<()> {
    play(async |user| {
        let mut body = python("print(sum(int(line) for line in open(0)))");
        body["stdin"] = json!("1\n2\n39\n");
        let view = user.run(&body).await?;
        expect(&view, &json!({ "verdict": "finished", "stdout": "42\n" }))
    })
    .await
}

#[tokio::test]
async fn a_program_that_ignores_a_large_standard_input_ends_well() -> Result<()> {
    play(async |user| {
        let mut body = python("print('done')");
        body["stdin"] = json!("z".repeat(500_000));
        let view = user.run(&body).await?;
        expect(&view, &json!({ "verdict": "finished", "stdout": "done\n" }))
    })
    .await
}

#[tokio::test]
async fn a_program_gets_its_arguments_and_its_files() -> Result<()> {
    play(async |user| {
        let view = user
            .run(&json!({
                "language": "python",
                "files": [
                    { "name": "main.py", "content": "import sys\nfrom lib.words import WORD\nprint(WORD, sys.argv[1:])" },
                    { "name": "lib/words.py", "content": "WORD = 'imported'" },
                ],
                "args": ["a b", "*", ""],
            }))
            .await?;
        expect(&view, &json!({ "verdict": "finished", "stdout": "imported ['a b', '*', '']\n" }))
    })
    .await
}

#[tokio::test]
async fn output_that_is_not_utf_8_comes_back_byte_by_byte() -> Result<()> {
    play(async |user| {
        let source = "import sys\nsys.stdout.buffer.write(bytes(range(256)))\nsys.stderr.buffer.write(b'\\xff\\0')";
        let view = user.run(&python(source)).await?;

        expect(&view, &json!({ "verdict": "finished", "stdout_encoding": "base64", "stderr_encoding": "base64" }))?;
        ensure!(bytes(&view, "stdout")? == (0..=255).collect::<Vec<u8>>(), "{view}");
        ensure!(bytes(&view, "stderr")? == [0xff, 0], "{view}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn source_and_input_may_come_as_base64() -> Result<()> {
    play(async |user| {
        let view = user
            .run(&json!({
                "language": "python", "encoding": "base64",
                "source": base64(b"import sys; print(sys.stdin.buffer.read())"),
                "stdin": base64(&[0xff, 0x00]),
            }))
            .await?;
        expect(&view, &json!({ "verdict": "finished", "stdout": "b'\\xff\\x00'\n" }))
    })
    .await
}

#[tokio::test]
async fn an_exit_code_other_than_zero_is_a_runtime_error() -> Result<()> {
    play(async |user| {
        let view = user.run(&python("import sys\nprint('partial')\nsys.exit(3)")).await?;
        let expected = json!({ "verdict": "runtime_error", "exit_code": 3, "signal": null, "stdout": "partial\n" });
        expect(&view, &expected)
    })
    .await
}

#[tokio::test]
async fn an_uncaught_exception_is_a_runtime_error_with_its_trace() -> Result<()> {
    play(async |user| {
        let view = user.run(&python("raise ValueError('told so')")).await?;
        expect(&view, &json!({ "verdict": "runtime_error", "exit_code": 1 }))?;
        ensure!(text(&view, "stderr")?.contains("ValueError: told so"), "{view}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_signal_is_a_runtime_error_that_names_it() -> Result<()> {
    play(async |user| {
        let crash = "int main(void) { volatile int *nowhere = 0; return *nowhere; }";
        let view = user.run(&c(crash)).await?;
        expect(&view, &json!({ "verdict": "runtime_error", "exit_code": null, "signal": 11 }))?;

        let view = user.run(&c("#include <stdlib.h>\nint main(void) { abort(); }")).await?;
        expect(&view, &json!({ "verdict": "runtime_error", "exit_code": null, "signal": 6 }))
    })
    .await
}

#[tokio::test]
async fn a_file_over_its_limit_is_refused_to_the_program() -> Result<()> {
    play(async |user| {
        let mut body = python("open('/tmp/big', 'wb').write(b'x' * (2 << 20))");
        body["limits"] = json!({ "file_size_kib": 1_024 });
        let view = user.run(&body).await?;
        expect(&view, &json!({ "verdict": "runtime_error", "state": "completed" }))
    })
    .await
}

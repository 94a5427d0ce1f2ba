//! One command to a mongod and its answer. The driver would bring an asynchronous runtime and TLS,
//! and `cargo dev` has to be built before all else.

use std::io::{Read, Write};
use std::net::TcpStream;

use anyhow::{Context, Result, bail};
use bson::Document;

use crate::ASK_PATIENCE;

/// The operation that carries every command and answer, `OP_MSG`.
const MESSAGE: i32 = 2013;

/// Four numbers: length, request, answered request, operation.
const HEADER_BYTES: usize = 16;

/// Flags and the kind of the only section stand before the document.
const BEFORE_DOCUMENT_BYTES: usize = 5;

/// An answer to the commands here has some KiB.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// Runs a command on a database.
pub(super) fn run(address: &str, database: &str, mut command: Document) -> Result<Document> {
    let resolved = address.parse().with_context(|| format!("the address {address}"))?;
    let mut connection =
        TcpStream::connect_timeout(&resolved, ASK_PATIENCE).context("no answer")?;
    connection.set_read_timeout(Some(ASK_PATIENCE))?;
    connection.set_write_timeout(Some(ASK_PATIENCE))?;
    command.insert("$db", database);
    connection.write_all(&request(&command)?).context("ask mongod")?;
    let answer = read_answer(&mut connection).context("broken answer of mongod")?;
    // A failed command is answered as well, with `ok: 0.0`.
    if answer.get_f64("ok").is_ok_and(|ok| ok > 0.0) {
        return Ok(answer);
    }
    bail!("mongod: {}", answer.get_str("errmsg").unwrap_or("the command failed"))
}

fn request(command: &Document) -> Result<Vec<u8>> {
    let document = command.to_vec()?;
    let length = HEADER_BYTES + BEFORE_DOCUMENT_BYTES + document.len();
    let mut message = Vec::with_capacity(length);
    // After the length: our number for the request, the request that this answers (none), the
    // operation, and the flags (none).
    for number in [i32::try_from(length)?, 1, 0, MESSAGE, 0] {
        message.extend(number.to_le_bytes());
    }
    // The section's kind: one document that is the whole body.
    message.push(0);
    message.extend(document);
    Ok(message)
}

fn read_answer(connection: &mut impl Read) -> Result<Document> {
    let mut length = [0; 4];
    connection.read_exact(&mut length)?;
    let length = usize::try_from(i32::from_le_bytes(length))?;
    // Before memory is taken: another program on the port could announce any length.
    if !(HEADER_BYTES + BEFORE_DOCUMENT_BYTES..=ANSWER_BYTES_MAX).contains(&length) {
        bail!("it has {length} bytes");
    }
    let mut rest = vec![0; length - size_of::<i32>()];
    connection.read_exact(&mut rest)?;
    let document = rest.get(HEADER_BYTES + BEFORE_DOCUMENT_BYTES - size_of::<i32>()..);
    Ok(Document::from_reader(document.unwrap_or_default())?)
}

#[cfg(test)]
mod tests {
    use bson::doc;

    use super::*;

    #[test]
    fn a_message_is_read_as_it_was_written() {
        let command = doc! { "hello": 1, "$db": "admin" };

        let message = request(&command).unwrap();

        assert_eq!(message[0], u8::try_from(message.len()).unwrap());
        assert_eq!(message[12..16], [0xdd, 0x07, 0, 0]);
        assert_eq!(read_answer(&mut message.as_slice()).unwrap(), command);
    }

    #[test]
    fn an_answer_that_is_cut_or_endless_is_refused() {
        let message = request(&doc! { "ok": 1.0 }).unwrap();
        let endless = [0xff, 0xff, 0xff, 0x7f];

        read_answer(&mut &message[..message.len() - 1]).unwrap_err();
        read_answer(&mut endless.as_slice()).unwrap_err();
        read_answer(&mut [4, 0, 0, 0].as_slice()).unwrap_err();
    }
}

//! `cell-init serve`: requests in, responses out, until standard input ends.

use std::io::{Read, Write, stdin, stdout};

use sandbox::protocol::{Decoder, PROTOCOL_VERSION, Ready, Request, Response, encode};

use crate::cell::CellState;
use crate::fault::{CellFault, During};
use crate::sys;

/// How much of a request one system call reads.
const READ_BYTES: usize = 64 * 1024;

/// Serves requests. A fault is sent to the executor and ends the cell, since the state that the
/// cell is in is not known any more.
pub(crate) fn serve(uid_base: u32) -> Result<(), CellFault> {
    sys::return_large_blocks();
    let served = serve_requests(uid_base);
    if let Err(fault) = &served {
        respond(&Response::Fault { message: fault.to_string() })?;
    }
    served
}

fn serve_requests(uid_base: u32) -> Result<(), CellFault> {
    let mut cell = CellState::new(uid_base)?;
    let mut requests = Requests { decoder: Decoder::new(), chunk: vec![0; READ_BYTES] };
    respond(&Response::Ready(Ready { protocol_version: PROTOCOL_VERSION }))?;
    while let Some(request) = requests.next()? {
        respond(&answer(&mut cell, request)?)?;
        // After the answer, so that the executor does not wait for it.
        cell.clean_up()?;
    }
    Ok(())
}

fn answer(cell: &mut CellState, request: Request) -> Result<Response, CellFault> {
    match request {
        Request::Prepare(prepare) => cell.prepare(prepare).map(Response::Prepared),
        Request::Run(stage) => cell.run(stage).map(Response::Ran),
    }
}

fn respond(response: &Response) -> Result<(), CellFault> {
    let frame = encode(response).during("cannot encode a response")?;
    let mut output = stdout().lock();
    output.write_all(&frame).and_then(|()| output.flush()).during("cannot write a response")
}

struct Requests {
    decoder: Decoder<Request>,
    chunk: Vec<u8>,
}

impl Requests {
    /// Returns the next request, or nothing at the end of the stream.
    fn next(&mut self) -> Result<Option<Request>, CellFault> {
        loop {
            if let Some(request) = self.decoder.next_message().during("request")? {
                return Ok(Some(request));
            }
            let count = stdin().lock().read(&mut self.chunk).during("cannot read a request")?;
            if count == 0 && self.decoder.is_between_messages() {
                return Ok(None);
            }
            if count == 0 {
                return Err(CellFault::new("the requests end in the middle of one"));
            }
            self.decoder.push(&self.chunk[..count]);
        }
    }
}

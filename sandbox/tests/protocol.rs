//! The protocol's codec: every message survives every way of being cut up, and no bytes, however
//! hostile, do more than make an error.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use sandbox::protocol::{
    ARGUMENTS_MAX, CellFile, Decoder, ExceededLimit, FILES_MAX, FramedMessage, PAYLOAD_BYTES_MAX,
    PROTOCOL_VERSION, Prepare, Prepared, ProtocolError, Ready, Request, Response, Stage, StageExit,
    StageLimits, StageOutput, StageReport, StageUsage, encode,
};

fn limits() -> impl Strategy<Value = StageLimits> {
    any::<[u32; 7]>().prop_map(|[a, b, c, d, e, f, g]| StageLimits {
        cpu_time_ms: a,
        wall_time_ms: b,
        memory_kib: c,
        stack_kib: d,
        output_bytes: e,
        file_size_kib: f,
        processes: g,
    })
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..300)
}

fn stage() -> impl Strategy<Value = Stage> {
    (vec(any::<String>(), 0..5), bytes(), limits()).prop_map(|(argv, stdin, limits)| Stage {
        argv,
        stdin,
        limits,
    })
}

fn request() -> impl Strategy<Value = Request> {
    let file = (any::<String>(), bytes()).prop_map(|(path, content)| CellFile { path, content });
    let prepare = (vec(file, 0..4), option::of(stage()))
        .prop_map(|(files, compile)| Request::Prepare(Prepare { files, compile }));
    prop_oneof![prepare, stage().prop_map(Request::Run)]
}

fn captured() -> impl Strategy<Value = StageOutput> {
    (bytes(), any::<u64>(), any::<bool>()).prop_map(|(bytes, total_bytes, truncated)| StageOutput {
        bytes,
        total_bytes,
        truncated,
    })
}

fn report() -> impl Strategy<Value = StageReport> {
    let exit = prop_oneof![
        any::<i32>().prop_map(StageExit::Code),
        any::<i32>().prop_map(StageExit::Signal)
    ];
    let stops = [
        ExceededLimit::CpuTime,
        ExceededLimit::WallTime,
        ExceededLimit::Output,
        ExceededLimit::Memory,
    ];
    let usage = any::<[u64; 4]>().prop_map(|[cpu_us, wall_us, discounted_us, memory_peak_kib]| {
        StageUsage { cpu_us, wall_us, discounted_us, memory_peak_kib }
    });
    let stopped = option::of(proptest::sample::select(stops.to_vec()));
    (exit, stopped, usage, captured(), captured()).prop_map(
        |(exit, stopped, usage, stdout, stderr)| StageReport {
            exit,
            stopped,
            usage,
            stdout,
            stderr,
        },
    )
}

fn response() -> impl Strategy<Value = Response> {
    prop_oneof![
        any::<u8>().prop_map(|protocol_version| Response::Ready(Ready { protocol_version })),
        option::of(report()).prop_map(|compile| Response::Prepared(Prepared { compile })),
        report().prop_map(Response::Ran),
        any::<String>().prop_map(|message| Response::Fault { message }),
    ]
}

/// Decodes a stream that comes in pieces of the given sizes, over and over.
fn decode<M: FramedMessage>(stream: &[u8], pieces: &[usize]) -> Result<Vec<M>, ProtocolError> {
    let mut decoder = Decoder::new();
    let mut messages = Vec::new();
    let mut rest = stream;
    for piece in pieces.iter().cycle() {
        let (now, later) = rest.split_at((*piece).min(rest.len()));
        decoder.push(now);
        while let Some(message) = decoder.next_message()? {
            messages.push(message);
        }
        rest = later;
        if rest.is_empty() {
            break;
        }
    }
    Ok(messages)
}

fn stream<M: FramedMessage>(messages: &[M]) -> Vec<u8> {
    messages.iter().flat_map(|message| encode(message).expect("small")).collect()
}

const REQUEST: u8 = Request::KIND;
const RESPONSE: u8 = Response::KIND;

fn ready() -> Response {
    Response::Ready(Ready { protocol_version: PROTOCOL_VERSION })
}

fn header(kind: u8, length: usize) -> Vec<u8> {
    let lead = encode(&ready()).expect("small")[0];
    let length = u32::try_from(length).expect("fits");
    [&[lead, kind], length.to_be_bytes().as_slice()].concat()
}

proptest! {
    #[test]
    fn every_request_survives_any_cutting(messages in vec(request(), 1..5), pieces in vec(1..100usize, 1..9)) {
        prop_assert_eq!(decode::<Request>(&stream(&messages), &pieces)?, messages);
    }

    #[test]
    fn every_response_survives_any_cutting(messages in vec(response(), 1..5), pieces in vec(1..100usize, 1..9)) {
        prop_assert_eq!(decode::<Response>(&stream(&messages), &pieces)?, messages);
    }

    #[test]
    fn random_bytes_do_no_harm(bytes in vec(any::<u8>(), 0..2000), pieces in vec(1..100usize, 1..9)) {
        drop(decode::<Request>(&bytes, &pieces));
        drop(decode::<Response>(&bytes, &pieces));
    }

    #[test]
    fn random_payloads_do_no_harm(kind in 0..4u8, payload in vec(any::<u8>(), 0..500)) {
        let frame = [header(kind, payload.len()), payload].concat();
        drop(decode::<Request>(&frame, &[64]));
        drop(decode::<Response>(&frame, &[64]));
    }

    #[test]
    fn flipped_bits_do_no_harm(message in response(), flips in vec((any::<prop::sample::Index>(), 0..8u8), 1..6)) {
        let mut frame = encode(&message)?;
        for (index, bit) in flips {
            let index = index.index(frame.len());
            frame[index] ^= 1 << bit;
        }
        drop(decode::<Response>(&frame, &[17]));
    }

    #[test]
    fn a_message_cut_short_is_no_message(message in request(), cut in any::<prop::sample::Index>()) {
        let frame = encode(&message)?;
        let mut decoder = Decoder::<Request>::new();
        prop_assert!(decoder.is_between_messages());
        decoder.push(&frame[..cut.index(frame.len())]);
        prop_assert_eq!(decoder.next_message()?, None);
        prop_assert_eq!(decoder.is_between_messages(), cut.index(frame.len()) == 0);
    }
}

#[test]
fn a_length_over_the_limit_is_refused_before_it_is_believed() {
    let mut decoder = Decoder::<Response>::new();
    decoder.push(&header(RESPONSE, PAYLOAD_BYTES_MAX + 1));
    let refused = ProtocolError::TooLong { length: PAYLOAD_BYTES_MAX + 1 };
    assert_eq!(decoder.next_message(), Err(refused.clone()));
    // It is not taken up again by what follows.
    decoder.push(&encode(&ready()).expect("small"));
    assert_eq!(decoder.next_message(), Err(refused));
    assert!(!decoder.is_between_messages());
}

#[test]
fn a_message_over_the_limit_is_not_sent() {
    let limits = StageLimits {
        cpu_time_ms: 1,
        wall_time_ms: 1,
        memory_kib: 1,
        stack_kib: 1,
        output_bytes: 1,
        file_size_kib: 1,
        processes: 1,
    };
    let stage = Stage { argv: Vec::new(), stdin: vec![0; PAYLOAD_BYTES_MAX], limits };
    assert!(matches!(encode(&Request::Run(stage)), Err(ProtocolError::TooLong { .. })));
}

#[test]
fn another_version_is_told_by_its_first_byte() {
    let mut frame = encode(&ready()).expect("small");
    frame[0] += 1;
    let expected = frame[0] - 1;
    let found = frame[0];
    assert_eq!(decode::<Response>(&frame[..1], &[1]), Err(ProtocolError::Lead { found, expected }));
}

#[test]
fn one_side_does_not_take_the_other_sides_messages() {
    let frame = encode(&ready()).expect("small");
    assert!(matches!(
        decode::<Request>(&frame, &[64]),
        Err(ProtocolError::Kind { kind: RESPONSE })
    ));
}

#[test]
fn a_frame_has_these_bytes() {
    let limits = StageLimits {
        cpu_time_ms: 1,
        wall_time_ms: 2,
        memory_kib: 3,
        stack_kib: 4,
        output_bytes: 5,
        file_size_kib: 6,
        processes: 300,
    };
    let run = Request::Run(Stage { argv: vec!["a".to_owned()], stdin: vec![255], limits });
    let payload = [1, 1, 1, b'a', 1, 255, 1, 2, 3, 4, 5, 6, 0xac, 2];
    let expected = [&[0xa3, REQUEST, 0, 0, 0, 14], payload.as_slice()].concat();
    assert_eq!(encode(&run), Ok(expected));
    assert_eq!(encode(&ready()), Ok(vec![0xa3, RESPONSE, 0, 0, 0, 2, 0, 3]));
}

#[test]
fn bytes_after_a_message_in_its_frame_are_refused() {
    // The variant `Ready`, its version, and one byte more.
    let frame = [header(RESPONSE, 3), vec![0, PROTOCOL_VERSION, 1]].concat();
    assert_eq!(decode::<Response>(&frame, &[64]), Err(ProtocolError::Trailing { bytes: 1 }));
}

#[test]
fn more_elements_than_allowed_are_refused() {
    let file = CellFile { path: String::new(), content: Vec::new() };
    let prepare =
        |count| Request::Prepare(Prepare { files: vec![file.clone(); count], compile: None });
    let most = encode(&prepare(FILES_MAX)).expect("small");
    assert_eq!(decode::<Request>(&most, &[4096]), Ok(vec![prepare(FILES_MAX)]));
    let more = encode(&prepare(FILES_MAX + 1)).expect("small");
    assert!(matches!(decode::<Request>(&more, &[4096]), Err(ProtocolError::Payload(_))));
    // The variant `Run`, and a stage whose command line claims one element too many, and holds
    // them.
    assert_eq!(ARGUMENTS_MAX, 4096);
    let varint = [0x81, 0x20];
    let payload = [vec![1], varint.to_vec(), vec![0; ARGUMENTS_MAX + 100]].concat();
    let frame = [header(REQUEST, payload.len()), payload].concat();
    assert!(matches!(decode::<Request>(&frame, &[4096]), Err(ProtocolError::Payload(_))));
}

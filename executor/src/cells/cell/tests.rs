//! A cell at the other end of a pipe that does what a hostile one might.

use std::future::pending;

use futures::stream;
use proptest::prelude::*;
use sandbox::protocol::{PAYLOAD_BYTES_MAX, StageExit, StageUsage};
use tokio::io::{AsyncReadExt, DuplexStream, duplex};
use tokio_util::io::ReaderStream;

use super::*;

const WITHIN: Duration = Duration::from_secs(1);

/// Our end of a cell, and the cell's.
fn pair() -> (Pipes, Peer) {
    let (input, their_input) = duplex(1 << 20);
    let (their_output, output) = duplex(1 << 16);
    let output = ReaderStream::new(output).map(|chunk| chunk.map(Chunk::Stdout)).boxed();
    let pipes = Pipes { input: Box::pin(input), output };
    (pipes, Peer { input: their_input, output: their_output })
}

/// The far end.
struct Peer {
    input: DuplexStream,
    output: DuplexStream,
}

impl Peer {
    async fn say(&mut self, response: &Response) {
        self.write(&encode(response).unwrap()).await;
    }

    async fn write(&mut self, bytes: &[u8]) {
        // Fails when our end has given up, and that is our end's affair.
        drop(self.output.write_all(bytes).await);
    }

    async fn hear(&mut self) -> Request {
        let (mut decoder, mut chunk) = (Decoder::new(), [0; 4096]);
        loop {
            if let Some(request) = decoder.next_message().unwrap() {
                return request;
            }
            let count = self.input.read(&mut chunk).await.unwrap();
            decoder.push(&chunk[..count]);
        }
    }
}

fn ready() -> Response {
    Response::Ready(Ready { protocol_version: PROTOCOL_VERSION })
}

fn report(stdout: &[u8]) -> StageReport {
    StageReport {
        exit: StageExit::Code(0),
        stopped: None,
        usage: StageUsage::default(),
        stdout: StageOutput {
            bytes: stdout.to_vec(),
            total_bytes: stdout.len() as u64,
            truncated: false,
        },
        stderr: StageOutput::default(),
    }
}

fn stage() -> Stage {
    let limits = StageLimits {
        cpu_time_ms: 1_000,
        wall_time_ms: 2_000,
        memory_kib: 65_536,
        stack_kib: 8_192,
        output_bytes: 16,
        file_size_kib: 16,
        processes: 4,
    };
    Stage { argv: vec!["true".to_owned()], stdin: Vec::new(), limits }
}

async fn greeted() -> (AttachedCell, Peer) {
    let (pipes, mut peer) = pair();
    peer.say(&ready()).await;
    (AttachedCell::greet(pipes, WITHIN).await.unwrap(), peer)
}

/// Has a cell run a stage, and the far end do something about it once it has heard of it.
async fn run_against(
    mut cell: AttachedCell,
    mut peer: Peer,
    reply: Vec<u8>,
) -> Result<StageReport, CellError> {
    let far_end = async move {
        peer.hear().await;
        peer.write(&reply).await;
        pending::<()>().await;
    };
    tokio::select! {
        ended = cell.run_stage(stage()) => ended,
        () = far_end => unreachable!("the far end waits for ever"),
    }
}

fn frame(response: &Response) -> Vec<u8> {
    encode(response).unwrap()
}

fn breach_of(ended: Result<StageReport, CellError>) -> ProtocolBreach {
    match ended {
        Err(CellError::Protocol { breach }) => breach,
        other => panic!("no breach was seen: {other:?}"),
    }
}

#[tokio::test]
async fn an_honest_cell_answers() {
    let (cell, peer) = greeted().await;
    let ended = run_against(cell, peer, frame(&Response::Ran(report(b"ok")))).await;
    assert_eq!(ended.unwrap(), report(b"ok"));
}

#[tokio::test]
async fn an_answer_of_another_kind_is_a_lie() {
    for other in [ready(), Response::Prepared(Prepared::default())] {
        let (cell, peer) = greeted().await;
        assert_eq!(
            breach_of(run_against(cell, peer, frame(&other)).await),
            ProtocolBreach::WrongKind
        );
    }
}

#[tokio::test]
async fn a_compilation_that_was_not_asked_for_is_a_lie() {
    let (mut cell, mut peer) = greeted().await;
    let unasked = Response::Prepared(Prepared { compile: Some(report(b"")) });
    let far_end = async {
        peer.hear().await;
        peer.say(&unasked).await;
    };
    let (prepared, ()) = tokio::join!(cell.prepare(Prepare::default()), far_end);
    assert!(
        matches!(prepared, Err(CellError::Protocol { breach: ProtocolBreach::WrongKind })),
        "{prepared:?}"
    );
}

#[tokio::test]
async fn bytes_that_are_no_message_are_a_lie() {
    let (cell, peer) = greeted().await;
    let breach = breach_of(run_against(cell, peer, b"Segmentation fault".to_vec()).await);
    assert!(matches!(breach, ProtocolBreach::Malformed(ProtocolError::Lead { .. })), "{breach:?}");
}

#[tokio::test]
async fn a_length_over_the_limit_is_a_lie_before_it_is_memory() {
    let (cell, peer) = greeted().await;
    let mut header = frame(&Response::Ran(report(b"")))[..2].to_vec();
    header.extend(u32::try_from(PAYLOAD_BYTES_MAX + 1).unwrap().to_be_bytes());
    let breach = breach_of(run_against(cell, peer, header).await);
    assert!(
        matches!(breach, ProtocolBreach::Malformed(ProtocolError::TooLong { .. })),
        "{breach:?}"
    );
}

#[tokio::test]
async fn more_bytes_than_the_answer_can_have_are_a_flood() {
    let (cell, peer) = greeted().await;
    // A legal length, far above what this stage's outputs allow.
    let mut flood = frame(&Response::Ran(report(b"")))[..2].to_vec();
    flood.extend(10_000_000_u32.to_be_bytes());
    flood.extend(vec![0; 200_000]);
    assert!(matches!(breach_of(run_against(cell, peer, flood).await), ProtocolBreach::Flood(_)));
}

#[tokio::test]
async fn an_output_over_its_limit_is_a_lie() {
    let (cell, peer) = greeted().await;
    let long = frame(&Response::Ran(report(&[b'x'; 17])));
    assert_eq!(breach_of(run_against(cell, peer, long).await), ProtocolBreach::OverLimit);
    let (cell, peer) = greeted().await;
    let mut modest = report(b"0123456789");
    modest.stdout.total_bytes = 3;
    assert_eq!(
        breach_of(run_against(cell, peer, frame(&Response::Ran(modest))).await),
        ProtocolBreach::OverLimit
    );
}

#[tokio::test]
async fn more_than_a_stage_can_have_used_is_a_lie() {
    let used = |cpu_us, wall_us, memory_peak_kib| StageUsage {
        cpu_us,
        wall_us,
        discounted_us: 0,
        memory_peak_kib,
    };
    let idle = StageUsage { discounted_us: 2, ..used(0, 1, 0) };
    for usage in [used(u64::MAX, 0, 0), used(0, 60_000_000, 0), used(0, 0, u64::MAX), idle] {
        let (cell, peer) = greeted().await;
        let report = StageReport { usage, ..report(b"") };
        assert_eq!(
            breach_of(run_against(cell, peer, frame(&Response::Ran(report))).await),
            ProtocolBreach::OverLimit
        );
    }
    let (cell, peer) = greeted().await;
    let mut endless = report(b"");
    endless.stderr.total_bytes = u64::MAX;
    assert_eq!(
        breach_of(run_against(cell, peer, frame(&Response::Ran(endless))).await),
        ProtocolBreach::OverLimit
    );
}

#[tokio::test]
async fn two_answers_to_one_question_are_a_lie() {
    let (cell, peer) = greeted().await;
    let twice = frame(&Response::Ran(report(b"ok"))).repeat(2);
    assert_eq!(breach_of(run_against(cell, peer, twice).await), ProtocolBreach::Unasked);
}

#[tokio::test]
async fn a_word_before_the_question_is_a_lie() {
    let (mut cell, mut peer) = greeted().await;
    assert!(cell.is_waiting());
    peer.say(&Response::Ran(report(b"planted"))).await;
    assert!(!cell.is_waiting());
    assert_eq!(breach_of(cell.run_stage(stage()).await), ProtocolBreach::Unasked);
}

#[tokio::test]
async fn a_cell_may_give_up_between_two_questions() {
    let (mut cell, mut peer) = greeted().await;
    peer.say(&Response::Fault { message: "something is left".to_owned() }).await;
    let ended = cell.run_stage(stage()).await;
    assert!(matches!(ended, Err(CellError::Fault { message }) if message == "something is left"));
}

#[tokio::test]
async fn another_version_is_not_greeted() {
    let (pipes, mut peer) = pair();
    peer.say(&Response::Ready(Ready { protocol_version: 9 })).await;
    let greeted = AttachedCell::greet(pipes, WITHIN).await;
    assert!(matches!(greeted, Err(CellError::Protocol { breach: ProtocolBreach::Version(9) })));
}

#[tokio::test(start_paused = true)]
async fn a_cell_that_never_greets_is_given_up() {
    let (pipes, _peer) = pair();
    let greeted = AttachedCell::greet(pipes, WITHIN).await;
    assert!(matches!(greeted, Err(CellError::Unresponsive { after: WITHIN })));
}

#[tokio::test(start_paused = true)]
async fn a_cell_that_hangs_is_given_up_after_its_stage_s_time_and_the_grace() {
    let (mut cell, _peer) = greeted().await;
    let asked_at = tokio::time::Instant::now();
    let ended = cell.run_stage(stage()).await;
    let after = 4 * Duration::from_secs(2) + GRACE;
    assert!(matches!(ended, Err(CellError::Unresponsive { .. })), "{ended:?}");
    assert!((after..after + Duration::from_millis(10)).contains(&asked_at.elapsed()));
}

#[tokio::test(start_paused = true)]
async fn a_cell_that_takes_no_request_is_given_up_too() {
    let (mut cell, _peer) = greeted().await;
    let stage = Stage { stdin: vec![0; 4 << 20], ..stage() };
    assert!(matches!(cell.run_stage(stage).await, Err(CellError::Unresponsive { .. })));
}

#[tokio::test]
async fn a_cell_that_dies_says_its_last_words() {
    let (pipes, mut peer) = pair();
    let words = stream::iter([Ok(Chunk::Stderr(Bytes::from_static(b"cell-init: no room\n")))]);
    let pipes = Pipes { input: pipes.input, output: pipes.output.chain(words).boxed() };
    peer.say(&ready()).await;
    let mut cell = AttachedCell::greet(pipes, WITHIN).await.unwrap();
    drop(peer.output);
    match cell.run_stage(stage()).await {
        Err(CellError::Died { oom_killed: false, stderr }) => {
            assert_eq!(stderr, "cell-init: no room");
        }
        other => panic!("it did not die: {other:?}"),
    }
}

#[tokio::test]
async fn a_cell_that_gives_up_says_why() {
    let (cell, peer) = greeted().await;
    let fault = Response::Fault { message: "cannot wipe".to_owned() };
    let ended = run_against(cell, peer, frame(&fault)).await;
    assert!(matches!(ended, Err(CellError::Fault { message }) if message == "cannot wipe"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_reply_can_do_more_than_end_the_cell(reply in proptest::collection::vec(any::<u8>(), 0..600)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let (cell, peer) = greeted().await;
            // Whatever it is, there is an end, and no memory beyond the bound was asked for on its
            // word.
            drop(run_against(cell, peer, reply).await);
        });
    }
}

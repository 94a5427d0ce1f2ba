//! Nemeses: what may befall an installation besides crashes, one after another in one world and each
//! in the middle of a load. Each time an operator does what the page of the alarm says; then the world
//! works, and every promise is kept that the ledger still has.
//!
//! Each comes once, in an order by `RUNLEDGER_TEST_SEED`. With `RUNLEDGER_TEST_MINUTES` they come
//! again and again until so many minutes are over.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use async_nats::jetstream;
use blackbox::audit::Audit;
use blackbox::client::{Submitted, TestClient};
use blackbox::load::{Load, Seen};
use blackbox::programs::{expect, python};
use blackbox::tools::minutes_and_seed;
use blackbox::wait::wait_until;
use blackbox::world::{World, WorldBuilder};
use events::subject::LEDGER_STREAM;
use events::{Family, Subject};
use futures::TryStreamExt as _;
use futures::future::try_join;
use rand::prelude::{IndexedRandom as _, RngExt as _, SeedableRng as _, SliceRandom as _, StdRng};
use serde_json::{Value, json};

/// Submissions in the load of one nemesis.
const LOAD: usize = 20;
/// When it comes, in percent of the submissions ended.
const AT_PERCENT: usize = 30;
/// Foreign messages that come at once.
const FOREIGN: usize = 10;
/// More bytes than any event has.
const FOREIGN_BYTES_MAX: usize = 200_000;
const MIB: u32 = 1024 * 1024;
/// A leader that is cut off goes on for some ten seconds.
const CUT_OFF_TIME: Duration = Duration::from_secs(15);
const PATIENCE: Duration = Duration::from_mins(2);

#[derive(Clone, Copy, Debug)]
enum Nemesis {
    ForeignBytes,
    ConsumersDeleted,
    DurabilityRemoved,
    DiskFull,
    StoreSetBack,
}

const ALL: [Nemesis; 5] = [
    Nemesis::ForeignBytes,
    Nemesis::ConsumersDeleted,
    Nemesis::DurabilityRemoved,
    Nemesis::DiskFull,
    Nemesis::StoreSetBack,
];

/// A world, and what it has promised so far.
struct Sufferer<'a> {
    world: &'a mut World,
    dice: StdRng,
    /// Every submission that the ledger has.
    promised: Vec<Submitted>,
    /// Foreign messages that the ledger has.
    foreign: usize,
    loads: usize,
}

/// The nemesis of a cluster: its servers go on, and one of them leads without knowing that it does
/// not any more.
#[tokio::test(flavor = "multi_thread")]
async fn no_state_goes_back_when_a_leader_is_cut_off() -> Result<()> {
    let (time, seed) = minutes_and_seed()?;
    let until = Instant::now() + time;
    let builder = WorldBuilder::default().edge().nats_cluster();
    builder
        .play(async |world| {
            let dice = StdRng::seed_from_u64(seed);
            let mut sufferer = Sufferer { world, dice, promised: Vec::new(), foreign: 0, loads: 0 };
            loop {
                sufferer.in_a_load(async |world, _| cut_off_leader(world).await).await?;
                sufferer.settle().await?;
                if Instant::now() >= until {
                    return Ok(());
                }
            }
        })
        .await
}

#[tokio::test]
async fn the_ledger_outlives_each_nemesis() -> Result<()> {
    let (time, seed) = minutes_and_seed()?;
    let until = Instant::now() + time;
    WorldBuilder::default()
        .edge()
        .nats_disk_mib(256)
        .setting("STREAMS__LEDGER_BYTES_MAX", 64 * MIB)
        .setting("STREAMS__OBJECTS_BYTES_MAX", 16 * MIB)
        .setting("QUEUES__ACK_WAIT_S", 3)
        .setting("QUEUES__CHECK_EVERY_S", 1)
        .play(async |world| {
            let dice = StdRng::seed_from_u64(seed);
            let mut sufferer = Sufferer { world, dice, promised: Vec::new(), foreign: 0, loads: 0 };
            loop {
                let mut order = ALL;
                order.shuffle(&mut sufferer.dice);
                for nemesis in order {
                    let suffered = sufferer.suffer(nemesis).await;
                    suffered.with_context(|| format!("{nemesis:?}, seed {seed}"))?;
                }
                if Instant::now() >= until {
                    return Ok(());
                }
            }
        })
        .await
}

impl Sufferer<'_> {
    async fn suffer(&mut self, nemesis: Nemesis) -> Result<()> {
        match nemesis {
            Nemesis::ForeignBytes => {
                self.foreign += FOREIGN;
                self.in_a_load(async |world, dice| publish_foreign(world, dice).await).await
            }
            Nemesis::ConsumersDeleted => {
                self.in_a_load(async |world, _| delete_consumers(world).await).await
            }
            Nemesis::DurabilityRemoved => {
                self.in_a_load(async |world, _| remove_durability(world).await).await
            }
            Nemesis::DiskFull => {
                self.in_a_load(async |world, _| fill_and_free_disk(world).await).await
            }
            Nemesis::StoreSetBack => self.lose_what_came_after_a_copy().await,
        }?;
        self.settle().await
    }

    /// Lets a fault come in the middle of a load.
    async fn in_a_load(
        &mut self,
        fault: impl AsyncFnOnce(&mut World, &mut StdRng) -> Result<()>,
    ) -> Result<()> {
        let (user, load) = (self.next_user()?, Load::new(LOAD));
        let fault = async {
            load.reaches(AT_PERCENT).await;
            fault(self.world, &mut self.dice).await
        };
        let (seen, ()) = try_join(load.run(&user), fault).await?;
        self.promised.extend(submissions(seen));
        Ok(())
    }

    /// Returns a person who has submitted nothing yet.
    fn next_user(&mut self) -> Result<TestClient> {
        self.loads += 1;
        self.world.user(&format!("student-{}", self.loads))
    }

    /// Checks that the world works, and that it has kept its promises.
    async fn settle(&mut self) -> Result<()> {
        self.world.all_ready().await?;
        let user = self.next_user()?;
        let next = user.submit(&python("print('next')")).await?;
        expect(&user.ended(&next).await?, &json!({ "verdict": "finished", "attempt": 1 }))?;
        self.promised.push(next);
        let audit = Audit::settled(self.world, &self.promised).await?;
        audit.check_objects(self.world).await?;
        let foreign = audit.foreign.len();
        ensure!(foreign == self.foreign, "{foreign} foreign messages, and not {}", self.foreign);
        Ok(())
    }

    async fn lose_what_came_after_a_copy(&mut self) -> Result<()> {
        let user = self.next_user()?;
        self.promised.extend(submissions(Load::new(LOAD).run(&user).await?));
        self.world.save_store().await?;
        self.world.all_ready().await?;
        let user = self.next_user()?;
        Load::new(LOAD).run(&user).await?;
        self.world.set_store_back().await?;
        wait_until("the projector says that the store was set back", PATIENCE, async || {
            let (status, health) = self.world.asked("projector", "/health/projections").await?;
            ensure!(status == 503 && health.contains("set back"), "{status}: {health}");
            Ok(())
        })
        .await?;
        for view in ["results", "progress"] {
            self.world.projector(&["rebuild", view]).await?;
        }
        wait_until("the projector goes on by itself", PATIENCE, async || {
            let (status, health) = self.world.asked("projector", "/health/projections").await?;
            ensure!(status == 200, "{health}");
            Ok(())
        })
        .await
    }
}

fn submissions(seen: Vec<Seen>) -> impl Iterator<Item = Submitted> {
    seen.into_iter().map(|seen| seen.submitted)
}

/// Publishes bytes that are no event wherever a service may write.
async fn publish_foreign(world: &World, dice: &mut StdRng) -> Result<()> {
    let client = world.nats_client("command-api").await?;
    let audit = Audit::read(world).await?;
    let subjects: Vec<Subject> =
        audit.messages.iter().map(|message| Ok(message.subject.parse()?)).collect::<Result<_>>()?;
    for _ in 0..FOREIGN {
        let subject = subjects.choose(dice).context("the ledger is empty")?;
        let family =
            *[Family::Submission, Family::Outcome].choose(dice).context("there are no families")?;
        let subject = subject.in_family(family);
        let id = subject.id.to_string();
        let nobodys = subject.to_string().replace(&id, "nobody");
        let subject = if dice.random() { subject.to_string() } else { nobodys };
        let mut payload = vec![0; dice.random_range(0..FOREIGN_BYTES_MAX)];
        dice.fill(&mut payload[..]);
        let answer = client.request(subject, payload.into()).await?;
        let answer: Value = serde_json::from_slice(&answer.payload)?;
        ensure!(answer["seq"].is_u64(), "{answer}");
    }
    Ok(())
}

/// Deletes every consumer of the ledger, those of readers and those of the queues.
async fn delete_consumers(world: &World) -> Result<()> {
    let viewed = world.viewer().await?.get_stream(LEDGER_STREAM).await?;
    let names: Vec<String> = viewed.consumer_names().try_collect().await?;
    ensure!(names.len() > 4, "there are only {names:?}");
    let provisioner = jetstream::new(world.nats_client("provisioner").await?);
    let stream = provisioner.get_stream(LEDGER_STREAM).await?;
    for name in names {
        // A reader may have ended meanwhile.
        let _gone = stream.delete_consumer(&name).await;
    }
    Ok(())
}

/// Lets NATS acknowledge before it syncs until the door is closed, and mends it.
async fn remove_durability(world: &mut World) -> Result<()> {
    world.nats()?.sync_always(false)?;
    restart_nats(world).await?;
    until_durability_is(world, 503).await?;
    let refused = world.user("stranger")?.post("/v1/submissions", &python("print(1)")).await?;
    refused.expect_problem(503, "unavailable")?;
    world.nats()?.sync_always(true)?;
    restart_nats(world).await?;
    until_durability_is(world, 200).await
}

async fn restart_nats(world: &mut World) -> Result<()> {
    world.stop("nats").await?;
    world.start("nats").await
}

async fn until_durability_is(world: &World, wanted: u16) -> Result<()> {
    for service in ["command-api", "executor"] {
        wait_until("the durability is known", PATIENCE, async || {
            let (status, health) = world.asked(service, "/health/durability").await?;
            ensure!(status == wanted, "{service}: {status}, {health}");
            Ok(())
        })
        .await?;
    }
    Ok(())
}

/// Lets the ledger's leader alone until it has noticed and another one leads. Ends when the servers
/// are one cluster again.
async fn cut_off_leader(world: &World) -> Result<()> {
    let divisible = world.cluster()?;
    let leader = divisible.cluster.leader_of(LEDGER_STREAM).context("nobody leads")?;
    divisible.isolate(leader);
    // As long as the fault lasts: nothing happens at its end that could be waited for.
    tokio::time::sleep(CUT_OFF_TIME).await;
    divisible.unite();
    wait_until("the cluster is whole", PATIENCE, async || {
        ensure!(divisible.cluster.is_whole(), "its servers disagree");
        Ok(())
    })
    .await
}

/// Fills the disk until submissions are refused, makes room, and restarts NATS, which has given up
/// its store by then.
async fn fill_and_free_disk(world: &mut World) -> Result<()> {
    world.fill_disk()?;
    let stranger = world.user("stranger")?;
    wait_until("submissions are refused", PATIENCE, async || {
        let answer = stranger.post("/v1/submissions", &python("print(1)")).await?;
        answer.expect_problem(503, "unavailable")
    })
    .await?;
    world.free_disk()?;
    restart_nats(world).await
}

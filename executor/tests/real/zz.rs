//! bench
use crate::service::{World, program};
use events::event::Event;
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn zz_latency() {
    let world = World::new().await;
    let executor = world.executor(30).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let src = "print(1)";
    let mut rows: Vec<[u64; 8]> = vec![];
    for i in 0..80 {
        tokio::time::sleep(Duration::from_millis(700)).await;
        let t0 = Instant::now();
        let id = world.submit(program("python", src)).await;
        let accepted = t0.elapsed();
        loop {
            let history = world.ledger.history(id).await.unwrap();
            if history.last().unwrap().recorded.envelope.event.is_terminal() {
                let seen = t0.elapsed();
                let at = |n: usize| history[n].recorded.stored_at;
                let Event::Completed(c) = &history[2].recorded.envelope.event else { panic!() };
                if i >= 10 {
                    rows.push([
                        accepted.as_micros() as u64,
                        (at(1) - at(0)).num_microseconds().unwrap() as u64,
                        (at(2) - at(1)).num_microseconds().unwrap() as u64,
                        c.timings.cell_us,
                        c.timings.prepare_us,
                        c.timings.run_us,
                        c.usage.wall_us,
                        seen.as_micros() as u64,
                    ]);
                }
                break;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    let names = [
        "accept",
        "accepted->started",
        "started->completed",
        "cell",
        "prepare",
        "run",
        "wall in cell",
        "submit->seen",
    ];
    for (n, name) in names.iter().enumerate() {
        let mut v: Vec<u64> = rows.iter().map(|r| r[n]).collect();
        v.sort();
        println!(
            "{name:20} min {:>6} p50 {:>6} p95 {:>6}",
            v[0],
            v[v.len() / 2],
            v[v.len() * 95 / 100]
        );
    }
    let t0 = Instant::now();
    let mut ids = vec![];
    for _ in 0..150 {
        ids.push(world.submit(program("python", src)).await);
    }
    for id in ids {
        world.settled(id).await;
    }
    println!("150 at once: {:?}, {:.1}/s", t0.elapsed(), 150.0 / t0.elapsed().as_secs_f64());
    println!(
        "{}",
        executor
            .get("/metrics")
            .await
            .lines()
            .filter(|l| l.contains("cell_start")
                || l.contains("cell_wait")
                || l.contains("append_seconds_sum")
                || l.contains("append_seconds_count")
                || l.contains("cells_"))
            .filter(|l| !l.starts_with('#'))
            .collect::<Vec<_>>()
            .join("\n")
    );
    executor.stop().await;
}

//! Keeping the shelves of the pool full: makes cells where they are missing, removes those that died or are too many, and
//! leaves an engine that fails in peace for a while.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use metrics::{counter, gauge, histogram};
use tokio::time::Instant;
use tracing::{error, info, warn};

use super::demand::is_due;
use super::maker::MakeError;
use super::pool::{Image, Inner, RETRY_WAIT, Shelf, State, Trouble, Warm, f64_of};
use super::slot::Slot;
use crate::metrics::{CELL_START_SECONDS, CELLS_DIED_WARM, CELLS_FAILED, CELLS_MADE, CELLS_WARM};

/// How often warm cells are looked at, and demand with them.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Keeps the shelves full until the pool is closed.
pub(super) async fn keep_full(inner: Arc<Inner>) {
    let mut look_at = Instant::now() + LOOK_EVERY;
    while !inner.stop.is_cancelled() {
        while let Some((image, slot)) = inner.next_to_make() {
            inner.tasks.spawn_on(Inner::make(inner.clone(), image, slot), &inner.runtime);
        }
        let retry_at = inner.lock().trouble.as_ref().map(|trouble| trouble.until);
        let retry_at = retry_at.filter(|at| *at > Instant::now());
        let until = retry_at.map_or(look_at, |at| at.min(look_at));
        tokio::select! {
            () = inner.wake.notified() => {}
            () = inner.stop.cancelled() => {}
            () = tokio::time::sleep_until(until) => {}
        }
        if Instant::now() >= look_at {
            Inner::look_at_shelves(&inner);
            look_at = Instant::now() + LOOK_EVERY;
        }
    }
}

impl Inner {
    /// The image that needs a cell most, if one is due and there is a slot for it.
    fn next_to_make(&self) -> Option<(Image, Slot)> {
        let mut state = self.lock();
        let quiet = state.trouble.as_ref().is_some_and(|trouble| Instant::now() < trouble.until);
        if quiet || state.making >= self.size.refillers || self.stop.is_cancelled() {
            return None;
        }
        let busy = self.in_use.load(Ordering::Relaxed);
        let stock = |shelf: &Shelf| shelf.warm.len() + shelf.making;
        let due = |shelf: &Shelf| is_due(stock(shelf), shelf.demand.target(), busy);
        let missing = |shelf: &Shelf| shelf.demand.target() - stock(shelf);
        let needy = state.shelves.iter().filter(|(_, shelf)| due(shelf));
        let name = needy.max_by_key(|(_, shelf)| missing(shelf)).map(|(name, _)| name.clone())?;
        let slot = state.slots.take()?;
        state.making += 1;
        if let Some(shelf) = state.shelves.get_mut(&name) {
            shelf.making += 1;
        }
        Some((self.images.get(&name)?.clone(), slot))
    }

    /// Makes one cell and puts it on its shelf.
    async fn make(inner: Arc<Self>, image: Image, mut slot: Slot) {
        let started_at = Instant::now();
        let used_before = slot.holder.is_some();
        let mut made = inner.maker.make(&image.tag, &mut slot).await;
        if made.is_err() && used_before {
            // The holder may have died, as all do when the engine is restarted.
            inner.drop_holder(&mut slot).await;
            made = inner.maker.make(&image.tag, &mut slot).await;
        }
        match made {
            Ok(made) => {
                histogram!(CELL_START_SECONDS).record(started_at.elapsed());
                counter!(CELLS_MADE, "image" => image.name.clone()).increment(1);
                Self::shelve(&inner, &image.name, Warm { made, slot });
            }
            Err(error) => inner.failed(&image, slot, &error).await,
        }
        inner.wake.notify_one();
    }

    fn shelve(inner: &Arc<Self>, image: &str, warm: Warm) {
        let mut state = inner.lock();
        state.done_making(image);
        if state.trouble.take().is_some() {
            info!("cells can be made again");
        }
        let shelf = state.shelves.get_mut(image).filter(|_| !inner.stop.is_cancelled());
        let Some(shelf) = shelf else {
            drop(state);
            return Self::discard(inner, warm.made.id, warm.slot);
        };
        shelf.warm.push_back(warm);
        let count = shelf.warm.len();
        drop(state);
        gauge!(CELLS_WARM, "image" => image.to_owned()).set(f64_of(count));
        if let Some(ready) = inner.ready.get(image) {
            ready.add_permits(1);
        }
    }

    async fn failed(&self, image: &Image, mut slot: Slot, error: &MakeError) {
        counter!(CELLS_FAILED, "image" => image.name.clone()).increment(1);
        self.drop_holder(&mut slot).await;
        let mut state = self.lock();
        state.done_making(&image.name);
        state.slots.give_back(slot);
        let (first, longest) = RETRY_WAIT;
        let wait = state.trouble.as_ref().map_or(first, |before| (before.wait * 2).min(longest));
        if state.trouble.is_none() {
            error!(
                error = error as &dyn std::error::Error,
                image.tag = image.tag,
                "cells cannot be made"
            );
        }
        let what = format!("{}: {}", image.tag, chain(error));
        state.trouble = Some(Trouble { what, wait, until: Instant::now() + wait });
    }

    /// Removes a slot's holder. The next cell gets another.
    async fn drop_holder(&self, slot: &mut Slot) {
        if let Some(holder) = slot.holder.take()
            && let Err(error) = self.maker.remove(&holder).await
        {
            warn!(error = &error as &dyn std::error::Error, "a holder could not be removed");
        }
    }

    /// Removes warm cells that have died or are too many by now.
    fn look_at_shelves(inner: &Arc<Self>) {
        let now = Instant::now();
        let images: Vec<String> = inner.images.keys().cloned().collect();
        for image in &images {
            while let Some(warm) = inner.take_unfit(image, now) {
                Self::discard(inner, warm.made.id, warm.slot);
            }
        }
    }

    /// A dead cell, or one above the target, that nobody has reserved.
    fn take_unfit(&self, image: &str, now: Instant) -> Option<Warm> {
        // A reserved cell is left to its taker, who looks for himself.
        let permit = self.ready.get(image)?.try_acquire().ok()?;
        let mut state = self.lock();
        let shelf = state.shelves.get_mut(image)?;
        shelf.demand.tick(now);
        let dead = shelf.warm.iter_mut().position(|warm| !warm.made.cell.is_waiting());
        let surplus = (shelf.warm.len() > shelf.demand.target()).then_some(0);
        let unfit = shelf.warm.remove(dead.or(surplus)?);
        drop(state);
        permit.forget();
        if dead.is_some() {
            counter!(CELLS_DIED_WARM, "image" => image.to_owned()).increment(1);
        }
        unfit
    }
}

impl State {
    fn done_making(&mut self, image: &str) {
        self.making -= 1;
        if let Some(shelf) = self.shelves.get_mut(image) {
            shelf.making -= 1;
        }
    }
}

/// An error with all its causes, for the health check.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

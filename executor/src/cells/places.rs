//! Places: how many submissions run at once, and how much memory they may take together. Each lane
//! of a pool has a place of its own. Common ones make them as many in all as processors; the own
//! place of a lane with nothing to run does not count. While processors are idle, since programs
//! sleep or wait, there are spare ones.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use events::{Lane, PoolName};
use tokio::sync::{
    AcquireError, OwnedRwLockReadGuard, OwnedRwLockWriteGuard, OwnedSemaphorePermit, RwLock,
    Semaphore, watch,
};

use super::warm_cells::NoCellError;

/// Memory is counted in these, since a semaphore has not enough permits for bytes.
const MEMORY_UNIT_BYTES: u64 = 1024 * 1024;

/// How many places there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlaceLimits {
    /// The lanes that submissions are taken from, each with its pool.
    pub lanes: Vec<(Lane, PoolName)>,
    /// The processors that programs share.
    pub processors: usize,
    /// Places at most, spare ones included. A lane with nothing running begins in its own one all
    /// the same.
    pub busy_max: usize,
    /// Memory that all cells in use may take together, in bytes.
    pub memory_bytes: u64,
}

/// The places of a pool.
#[derive(Debug)]
pub(super) struct Places {
    own: Vec<((Lane, PoolName), Arc<Semaphore>)>,
    common: Arc<CommonPlaces>,
    spare: Arc<SparePlaces>,
    memory: Arc<Semaphore>,
    memory_units: u32,
    /// Held together by what runs in company, and alone by what must run alone.
    company: Arc<RwLock<()>>,
}

/// A place that is taken, until it is dropped.
#[derive(Debug)]
pub(super) enum Place {
    /// The lane's own one.
    Own { _permit: OwnedSemaphorePermit, common: Arc<CommonPlaces>, counted: Option<CommonPlace> },
    /// One that any lane may take.
    Common { _place: CommonPlace },
    /// One that a processor which is idle now has made.
    Spare { _place: SparePlace },
}

/// What a cell in use takes besides its place.
#[derive(Debug)]
pub(super) struct Room {
    _memory: OwnedSemaphorePermit,
    _company: Company,
}

#[derive(Debug)]
enum Company {
    Together { _guard: OwnedRwLockReadGuard<()> },
    Alone { _guard: OwnedRwLockWriteGuard<()> },
}

impl Places {
    pub(super) fn new(limits: &PlaceLimits) -> Self {
        let own = limits.lanes.iter().map(|lane| (lane.clone(), Arc::new(Semaphore::new(1))));
        let steady = limits.processors.max(limits.lanes.len());
        let memory_units = units(limits.memory_bytes);
        Self {
            own: own.collect(),
            common: Arc::new(CommonPlaces::new(limits.processors)),
            spare: Arc::new(SparePlaces {
                free: Semaphore::new(0),
                taken: AtomicUsize::new(0),
                wanted: watch::Sender::new(0),
                max: limits.busy_max.saturating_sub(steady),
            }),
            memory: Arc::new(Semaphore::new(memory_units as usize)),
            memory_units,
            company: Arc::default(),
        }
    }

    /// Waits for a place for a lane: its own if that is free.
    pub(super) async fn take(&self, lane: &(Lane, PoolName)) -> Result<Place, NoCellError> {
        let own = self.own.iter().find(|(owner, _)| owner == lane);
        let own = own.ok_or_else(|| NoCellError::UnknownLane(lane.0, lane.1.clone()))?.1.clone();
        let own_place =
            |permit| Place::Own { _permit: permit, common: self.common.clone(), counted: None };
        // A lane that waits for its next submission waits in its own place, and leaves the others
        // to other lanes.
        let taken = tokio::select! {
            biased;
            permit = own.acquire_owned() => permit.map(own_place),
            place = CommonPlace::take(&self.common) => place.map(|place| Place::Common { _place: place }),
            place = SparePlace::take(&self.spare) => place.map(|place| Place::Spare { _place: place }),
        };
        taken.map_err(|_closed| NoCellError::Closed)
    }

    /// Waits until there is room for a cell that may take so much memory, and until it has company
    /// or none, as it must.
    pub(super) async fn make_room(
        &self,
        memory_bytes: u64,
        is_alone: bool,
    ) -> Result<Room, NoCellError> {
        // The company first, so that what waits to be alone holds no memory.
        let company = if is_alone {
            Company::Alone { _guard: self.company.clone().write_owned().await }
        } else {
            Company::Together { _guard: self.company.clone().read_owned().await }
        };
        // One that may take more than there is runs when nothing else does.
        let wanted = units(memory_bytes).min(self.memory_units);
        let memory = self.memory.clone().acquire_many_owned(wanted).await;
        let memory = memory.map_err(|_closed| NoCellError::Closed)?;
        Ok(Room { _memory: memory, _company: company })
    }

    /// Waits until something waits for a spare place.
    pub(super) async fn until_spare_is_wanted(&self) {
        let mut wanted = self.spare.wanted.subscribe();
        if *wanted.borrow_and_update() == 0 {
            // The processor that made it may have work when the next one comes.
            self.spare.set_free(false);
        }
        // The sender lives for as long as the places.
        drop(wanted.wait_for(|count| *count > 0).await);
    }

    /// Makes a spare place free if a processor is idle. Only one at a time: what begins in it shows
    /// in the next count only.
    pub(super) fn set_spare(&self, is_processor_idle: bool) {
        self.spare.set_free(is_processor_idle);
    }

    /// Ends all waits for a place.
    pub(super) fn close(&self) {
        self.own.iter().for_each(|(_, own)| own.close());
        self.common.free.close();
        self.spare.free.close();
        self.memory.close();
    }
}

impl Place {
    /// Says that the submission is there: from now on the place counts, whosever it is.
    pub(super) fn begin(&mut self) {
        if let Self::Own { _permit: _, common, counted } = self {
            *counted = Some(CommonPlace::overdraw(common));
        }
    }

    /// Tells whether it is the lane's own one, which no other lane waits for.
    pub(super) const fn is_own(&self) -> bool {
        matches!(self, Self::Own { .. })
    }
}

/// As many places as processors.
#[derive(Debug)]
pub(super) struct CommonPlaces {
    free: Semaphore,
    /// Places that were taken although none was free. The next ones that end are not free.
    overdrawn: Mutex<usize>,
}

impl CommonPlaces {
    const fn new(count: usize) -> Self {
        Self { free: Semaphore::const_new(count), overdrawn: Mutex::new(0) }
    }

    fn overdrawn(&self) -> MutexGuard<'_, usize> {
        self.overdrawn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One of them, until it is dropped.
#[derive(Debug)]
pub(super) struct CommonPlace {
    of: Arc<CommonPlaces>,
}

impl CommonPlace {
    async fn take(common: &Arc<CommonPlaces>) -> Result<Self, AcquireError> {
        common.free.acquire().await?.forget();
        Ok(Self { of: common.clone() })
    }

    /// Takes one at once, also if none is free.
    fn overdraw(common: &Arc<CommonPlaces>) -> Self {
        let mut overdrawn = common.overdrawn();
        match common.free.try_acquire() {
            Ok(permit) => permit.forget(),
            Err(_) => *overdrawn += 1,
        }
        drop(overdrawn);
        Self { of: common.clone() }
    }
}

impl Drop for CommonPlace {
    fn drop(&mut self) {
        let mut overdrawn = self.of.overdrawn();
        if *overdrawn > 0 {
            *overdrawn -= 1;
        } else {
            self.of.free.add_permits(1);
        }
    }
}

/// Places that are there only while processors are idle.
#[derive(Debug)]
struct SparePlaces {
    free: Semaphore,
    taken: AtomicUsize,
    /// How many wait for one.
    wanted: watch::Sender<usize>,
    max: usize,
}

impl SparePlaces {
    fn set_free(&self, is_wanted: bool) {
        if !is_wanted || self.taken.load(Ordering::Relaxed) >= self.max {
            self.free.forget_permits(1);
        } else if self.free.available_permits() == 0 {
            self.free.add_permits(1);
        }
    }
}

/// A spare place. It is not free for the next one when it is dropped: the processor may have work.
#[derive(Debug)]
pub(super) struct SparePlace {
    of: Arc<SparePlaces>,
}

impl SparePlace {
    async fn take(spare: &Arc<SparePlaces>) -> Result<Self, AcquireError> {
        let wish = Wish::of(&spare.wanted);
        spare.free.acquire().await?.forget();
        drop(wish);
        spare.taken.fetch_add(1, Ordering::Relaxed);
        Ok(Self { of: spare.clone() })
    }
}

/// Counts as one that waits until it is dropped.
struct Wish<'a>(&'a watch::Sender<usize>);

impl<'a> Wish<'a> {
    fn of(wanted: &'a watch::Sender<usize>) -> Self {
        wanted.send_modify(|count| *count += 1);
        Self(wanted)
    }
}

impl Drop for Wish<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

impl Drop for SparePlace {
    fn drop(&mut self) {
        self.of.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

fn units(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(MEMORY_UNIT_BYTES)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    const MIB: u64 = 1024 * 1024;

    fn lane(lane: Lane) -> (Lane, PoolName) {
        (lane, "core".parse().unwrap())
    }

    fn places(processors: usize, busy_max: usize) -> Places {
        let lanes = vec![lane(Lane::Run), lane(Lane::Submit)];
        Places::new(&PlaceLimits { lanes, processors, busy_max, memory_bytes: 100 * MIB })
    }

    /// Takes a place for a submission, if there is one.
    fn try_take(places: &Places, of: Lane) -> Option<Place> {
        let mut place = places.take(&lane(of)).now_or_never()?.unwrap();
        place.begin();
        Some(place)
    }

    fn try_room(places: &Places, mib: u64, is_alone: bool) -> Option<Room> {
        places.make_room(mib * MIB, is_alone).now_or_never().map(Result::unwrap)
    }

    #[test]
    fn a_lane_has_a_place_whatever_the_other_one_does() {
        let places = places(4, 4);
        let suites: Vec<_> = (0..4).map(|_| try_take(&places, Lane::Submit).unwrap()).collect();
        assert!(try_take(&places, Lane::Submit).is_none());
        for _ in 0..5 {
            drop(try_take(&places, Lane::Run).expect("a place of its own"));
        }
        drop(suites);
    }

    #[test]
    fn the_own_place_of_a_lane_with_nothing_to_run_keeps_none_from_running() {
        let places = places(2, 2);
        let submits = lane(Lane::Submit);
        let mut waiting = places.take(&submits).now_or_never().unwrap().unwrap();
        let first = try_take(&places, Lane::Run).unwrap();
        let second = try_take(&places, Lane::Run).unwrap();
        assert!(try_take(&places, Lane::Run).is_none());
        // Now it has something, and one of the others is too much.
        waiting.begin();
        drop(second);
        assert!(try_take(&places, Lane::Run).is_none());
        drop(waiting);
        let second = try_take(&places, Lane::Run).unwrap();
        drop((first, second));
        let all: Vec<_> = (0..3).map_while(|_| try_take(&places, Lane::Run)).collect();
        assert_eq!(all.len(), 2, "none is lost and none is made");
    }

    #[test]
    fn there_are_as_many_places_as_processors_unless_some_are_idle() {
        let places = places(2, 8);
        let _busy =
            [try_take(&places, Lane::Run), try_take(&places, Lane::Submit)].map(Option::unwrap);
        assert!(try_take(&places, Lane::Run).is_none());
        // They sleep.
        places.set_spare(true);
        let spare = try_take(&places, Lane::Run).unwrap();
        places.set_spare(false);
        assert!(try_take(&places, Lane::Run).is_none(), "the other processor has work by now");
        drop(spare);
        assert!(try_take(&places, Lane::Run).is_none(), "so may this one");
    }

    #[test]
    fn processors_are_looked_at_only_while_a_spare_place_is_waited_for() {
        let places = places(2, 8);
        let lane = lane(Lane::Run);
        assert!(places.until_spare_is_wanted().now_or_never().is_none());
        let _steady = [(); 2].map(|()| try_take(&places, Lane::Run).unwrap());
        assert!(places.until_spare_is_wanted().now_or_never().is_none());
        let mut waiting = Box::pin(places.take(&lane));
        assert!((&mut waiting).now_or_never().is_none());
        assert!(places.until_spare_is_wanted().now_or_never().is_some());
        places.set_spare(true);
        drop(waiting);
        assert!(places.until_spare_is_wanted().now_or_never().is_none());
        assert!(try_take(&places, Lane::Run).is_none(), "the processor may have work by now");
    }

    #[test]
    fn sleepers_without_end_do_not_take_places_without_end() {
        let places = places(2, 5);
        let mut taken = Vec::new();
        for _ in 0..100 {
            places.set_spare(true);
            taken.extend(try_take(&places, Lane::Run));
        }
        assert_eq!(taken.len(), 5);
        assert!(try_take(&places, Lane::Submit).is_some(), "its own");
    }

    #[test]
    fn what_may_take_more_memory_than_is_left_waits() {
        let places = places(4, 4);
        let half = try_room(&places, 60, false).unwrap();
        assert!(try_room(&places, 60, false).is_none());
        drop(half);
        let _all = try_room(&places, 5_000, false).expect("more than there is runs alone");
        assert!(try_room(&places, 1, false).is_none());
    }

    #[test]
    fn what_must_run_alone_has_no_company() {
        let places = places(4, 4);
        let other = try_room(&places, 1, false).unwrap();
        assert!(try_room(&places, 1, true).is_none());
        drop(other);
        let _alone = try_room(&places, 1, true).unwrap();
        assert!(try_room(&places, 1, false).is_none());
    }

    #[tokio::test]
    async fn closing_ends_every_wait() {
        let places = places(2, 2);
        let _own = try_take(&places, Lane::Run).unwrap();
        let lane = lane(Lane::Run);
        let waiting = places.take(&lane);
        places.close();
        assert_eq!(waiting.await.unwrap_err(), NoCellError::Closed);
        assert_eq!(places.make_room(1, false).await.unwrap_err(), NoCellError::Closed);
    }
}

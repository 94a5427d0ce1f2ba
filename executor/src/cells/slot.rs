//! Slots: what a live cell has to itself on the host, its uids and its network namespace. A slot
//! serves one cell after another. Pure.

use events::BootId;

use super::engine::ContainerId;

/// Cells of one executor that can live at the same time: a slot's number has eight bits of a uid.
pub const SLOTS_MAX: u16 = 256;

/// Where the uids of cells begin: far above those of people, services and subordinate ranges, so
/// that a process of a cell never counts as one of theirs.
const UIDS_BEGIN: u32 = 0x4000_0000;

/// What a live cell has to itself.
#[derive(Debug)]
pub struct Slot {
    number: u8,
    /// The container that holds its network namespace, once there is one. It is kept for the next
    /// cell, since a namespace costs more than all the rest of a start.
    pub holder: Option<ContainerId>,
}

impl Slot {
    /// Returns the first of 256 uids that no other live cell on the host has.
    ///
    /// Limits on processes count by uid over the whole host, so two cells must not share one. Eight
    /// bits tell the cells of one executor apart for certain. Fourteen bits of the boot id tell the
    /// executors of a host apart only most probably. Two executors that share them count their
    /// programs' processes together.
    pub fn uid_base(&self, boot: BootId) -> u32 {
        let bits = u32::from_be_bytes(fold(boot)) & 0x3fff;
        UIDS_BEGIN | (bits << 16) | (u32::from(self.number) << 8)
    }
}

/// All of a boot id in four bytes. Hashed, since which of its bits are random depends on its
/// version.
fn fold(boot: BootId) -> [u8; 4] {
    let digest = events::Digest::of(boot.as_uuid().as_bytes());
    let [a, b, c, d, ..] = *digest.as_bytes();
    [a, b, c, d]
}

/// The slots of an executor.
#[derive(Debug, Default)]
pub struct Slots {
    idle: Vec<Slot>,
    made: u16,
}

impl Slots {
    /// Takes a slot, one with a holder if there is one.
    pub fn take(&mut self) -> Option<Slot> {
        // An idle slot has its holder already. A new one costs the engine a second container.
        if let Some(slot) = self.idle.pop() {
            return Some(slot);
        }
        let number = u8::try_from(self.made).ok()?;
        self.made += 1;
        Some(Slot { number, holder: None })
    }

    /// Takes back the slot of a cell that is gone.
    pub fn give_back(&mut self, slot: Slot) {
        self.idle.push(slot);
    }

    /// Takes every holder out of idle slots, to be removed.
    pub fn take_holders(&mut self) -> Vec<ContainerId> {
        self.idle.iter_mut().filter_map(|slot| slot.holder.take()).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn boot(number: u128) -> BootId {
        BootId::new(uuid::Uuid::from_u128(number))
    }

    #[test]
    fn live_cells_never_share_a_uid() {
        let mut slots = Slots::default();
        let taken: Vec<Slot> = std::iter::from_fn(|| slots.take()).collect();
        assert_eq!(taken.len(), usize::from(SLOTS_MAX));
        let bases: HashSet<u32> = taken.iter().map(|slot| slot.uid_base(boot(1))).collect();
        assert_eq!(bases.len(), taken.len());
        assert!(
            bases.iter().all(|base| base % 256 == 0 && (UIDS_BEGIN..0x8000_0000).contains(base))
        );
    }

    #[test]
    fn two_executors_rarely_share_uids() {
        // Fourteen bits can meet: of 1,000 executors on one host, some 30 would share their uids
        // with another one.
        let slot = Slots::default().take().unwrap();
        let bases: HashSet<u32> = (0..1_000).map(|number| slot.uid_base(boot(number))).collect();
        assert!((950..1_000).contains(&bases.len()), "{} of 1000 differ", bases.len());
    }

    #[test]
    fn a_slot_comes_back_with_its_holder() {
        let mut slots = Slots::default();
        let mut slot = slots.take().unwrap();
        slot.holder = Some(ContainerId::new("h"));
        slots.give_back(slot);
        assert_eq!(slots.take().unwrap().holder, Some(ContainerId::new("h")));
        assert_eq!(slots.take().unwrap().holder, None);
    }
}

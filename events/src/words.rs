//! Enums without data by their stored words. The words themselves are strum's, which a test holds
//! equal to serde's.

use strum::VariantArray;

use crate::content::ObjectBucket;
use crate::event::{FailureClass, Isolation, LostReason, Origin};
use crate::subject::{Lane, Priority};
use crate::submission::State;
use crate::verdict::Verdict;

macro_rules! words {
    ($($name:ident),+) => {$(
        impl $name {
            /// Every variant, in order of declaration.
            pub const ALL: &'static [Self] = Self::VARIANTS;

            /// Returns the stored word.
            // By name, since `into` says nothing at the place where it is called.
            pub fn as_str(self) -> &'static str {
                self.into()
            }
        }
    )+};
}

words!(ObjectBucket, Lane, Priority, Origin, Isolation, LostReason, FailureClass, Verdict, State);

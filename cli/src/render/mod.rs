//! What people read: texts made of answers. Pure; where they are written is another's business.

mod events;
mod style;
mod submission;
mod table;
mod text;

pub(crate) use self::events::events;
pub(crate) use self::style::Style;
pub(crate) use self::submission::submission;
pub(crate) use self::table::{Align, Table};
pub(crate) use self::text::printable;

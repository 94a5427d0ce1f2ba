//! What people read: texts made from answers. Pure: writes to no terminal and no file.

mod events;
mod style;
mod submission;
mod table;
mod text;

pub(crate) use self::events::events;
pub(crate) use self::style::Style;
pub(crate) use self::submission::submission;
pub(crate) use self::table::{Align, TextTable};
pub(crate) use self::text::printable;

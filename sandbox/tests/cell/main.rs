//! Drives the real `cell-init` in real containers, with the restrictions that executors put on
//! cells. Needs a Docker engine and the image; where one is missing every test fails and says so.

mod cleanup;
mod contention;
mod isolation;
mod languages;
mod limits;
mod support;

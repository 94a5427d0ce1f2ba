//! The service's contract over the router in one process, and the stores' contract on fakes and on real servers, whose addresses
//! are `RUNLEDGER_TEST_POSTGRES_URL` and `RUNLEDGER_TEST_MONGO_URL`.

mod caching;
mod freshness;
mod languages;
mod listener;
mod listing;
mod progress;
mod progress_view;
mod reading;
mod record;
mod results_view;
mod support;
mod unauthorized;
mod waiting;

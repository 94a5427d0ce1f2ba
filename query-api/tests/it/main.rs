//! The service's contract over the router in one process, and the stores' contract on fakes and on
//! real servers. The addresses of the databases are `RUNLEDGER_TEST_POSTGRES_URL` and
//! `RUNLEDGER_TEST_MONGO_URL`.

// Each module says that it is a test, so that clippy lets its helpers unwrap.
#[cfg(test)]
mod caching;
#[cfg(test)]
mod feed;
#[cfg(test)]
mod freshness;
#[cfg(test)]
mod languages;
#[cfg(test)]
mod listing;
#[cfg(test)]
mod outputs;
#[cfg(test)]
mod progress;
#[cfg(test)]
mod progress_view;
#[cfg(test)]
mod quarantine;
#[cfg(test)]
mod reading;
#[cfg(test)]
mod record;
#[cfg(test)]
mod results_view;
#[cfg(test)]
mod set_back;
#[cfg(test)]
mod stale_leader;
#[cfg(test)]
mod support;
#[cfg(test)]
mod unauthorized;
#[cfg(test)]
mod waiting;

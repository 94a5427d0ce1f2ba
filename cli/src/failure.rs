//! Why a command did not do what was asked, and the exit code that goes with it.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::api::Problem;
use crate::exit;

/// Why a command stopped.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The command line asks for something that cannot be.
    #[error("{0}")]
    Usage(String),
    /// A file that the command line names cannot be read.
    #[error("cannot read {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The server will not do it.
    #[error("the server refused the request: {0}")]
    Refused(Box<Problem>),
    /// The server cannot do it now.
    #[error("the server is not available: {problem} (tried {})", times(*attempts))]
    Unavailable {
        /// What it said last.
        problem: Box<Problem>,
        /// How often it was asked.
        attempts: u32,
    },
    /// There is no answer.
    #[error("cannot reach {url} (tried {})", times(*attempts))]
    Unreachable {
        /// Where it was looked for.
        url: String,
        /// How often.
        attempts: u32,
        /// What happened last.
        source: reqwest::Error,
    },
    /// The answer is not what this program understands.
    #[error("the server's answer is not understood")]
    Answer(#[source] serde_json::Error),
    /// A token could not be signed.
    #[error(transparent)]
    Token(#[from] platform::auth::MintError),
    /// Standard output is gone.
    #[error("cannot write the output")]
    Output(#[from] io::Error),
}

fn times(attempts: u32) -> String {
    if attempts == 1 { "once".to_owned() } else { format!("{attempts} times") }
}

impl Failure {
    /// Returns the exit code of a command that stopped for this.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Usage(_) | Self::File { .. } | Self::Token(_) => exit::USAGE,
            Self::Refused(_) => exit::REFUSED,
            Self::Unavailable { .. } | Self::Unreachable { .. } | Self::Answer(_) => {
                exit::UNAVAILABLE
            }
            Self::Output(_) => exit::UNAVAILABLE,
        })
    }

    /// Tells whether the reader of our output has gone away, which is no failure of ours.
    pub(crate) fn is_closed_output(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}

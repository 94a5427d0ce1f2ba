//! Why a command stopped, and the exit code for that.

use std::io;
use std::path::PathBuf;

use client::ClientError;

use crate::exit;

/// Why a command stopped.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    /// The command line asks for something that is not possible.
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
    /// The server was not asked, or gave no answer to use.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// A token could not be signed.
    #[error(transparent)]
    Token(#[from] platform::auth::MintError),
    /// Standard output is closed, or its disk is full.
    #[error("cannot write the output")]
    Output(#[from] io::Error),
}

impl CliError {
    /// Returns the exit code of a command that stopped for this.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) | Self::File { .. } | Self::Token(_) => exit::USAGE,
            Self::Client(error) => match error {
                ClientError::Address { .. }
                | ClientError::Token
                | ClientError::Key
                | ClientError::Unsendable(_) => exit::USAGE,
                ClientError::Refused(_) => exit::REFUSED,
                ClientError::Unavailable { .. }
                | ClientError::Unreachable { .. }
                | ClientError::Answer(_)
                | ClientError::Setup(_) => exit::UNAVAILABLE,
            },
            // There is no code for this alone, and new codes would change what scripts rely on.
            Self::Output(_) => exit::UNAVAILABLE,
        }
    }

    /// Tells whether the reader of our output has closed the pipe.
    pub(crate) fn is_closed_output(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}

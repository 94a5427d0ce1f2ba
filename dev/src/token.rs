//! The token that a person at this machine uses. The built CLI signs it, so that this tool needs no
//! cryptography of its own.

use anyhow::{Context, Result};

use crate::command::{clean, output};
use crate::parts::Site;
use crate::secrets;

/// Everything that a token can allow.
const SCOPE: &str = "submit read:any admin";

/// Long enough to work with for a month.
const LIFETIME: &str = "30d";

/// Mints a token for the user `demo`.
pub(crate) fn demo(site: &Site) -> Result<String> {
    let mut cli = clean(site.programs.join("runledger"));
    cli.args(["token", "mint", "--sub", "demo", "--scope", SCOPE, "--ttl", LIFETIME]);
    cli.arg("--secret-file").arg(secrets::file(&site.layout));
    Ok(output(&mut cli).context("mint a token")?.trim().to_owned())
}

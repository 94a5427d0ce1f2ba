//! `runledger token mint`: signs a token with the secret of the services.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use events::{Clock, UserId};
use platform::auth::{Claims, Scope, mint};
use platform::clock::SystemClock;
use platform::config::TokenSecret;
use secrecy::{ExposeSecret as _, SecretString};

use super::output;
use crate::error::CliError;
use crate::input::read_file;

/// What `token mint` takes.
#[derive(Debug, Args)]
pub(crate) struct TokenArgs {
    /// The user that the token is for
    #[arg(long, value_name = "NAME", value_parser = parse_subject)]
    sub: String,

    /// What the token allows, separated by spaces: submit, read:any, admin
    #[arg(long, value_name = "SCOPES", value_parser = parse_scopes)]
    scope: String,

    /// How long the token is valid: a number with s, m, h or d
    #[arg(long, value_name = "TIME", default_value = "12h", value_parser = parse_ttl)]
    ttl: Duration,

    /// A file with the secret; white space around the secret is ignored
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,

    /// The secret, from the environment only
    #[arg(long, env = "RUNLEDGER_HS256_SECRET", hide = true, hide_env_values = true)]
    secret: Option<SecretString>,
}

/// Prints the token.
pub(crate) fn run(args: &TokenArgs) -> Result<ExitCode, CliError> {
    let secret = secret(args)?;
    // Before 1970 only if the clock is wrong: then the token has expired already.
    let now = u64::try_from(SystemClock.now().timestamp()).unwrap_or(0);
    let claims = Claims {
        sub: args.sub.clone(),
        scope: args.scope.clone(),
        exp: now + args.ttl.as_secs(),
        iat: now,
        nbf: None,
        iss: None,
        aud: None,
    };
    let token = mint(&secret, &claims)?;
    output(|_| format!("{token}\n"))?;
    Ok(ExitCode::SUCCESS)
}

fn secret(args: &TokenArgs) -> Result<TokenSecret, CliError> {
    let secret = match (&args.secret_file, &args.secret) {
        (Some(path), _) => {
            let text = String::from_utf8(read_file(path)?)
                .map_err(|_not_utf8| CliError::Usage(format!("{} is not UTF-8", path.display())))?;
            // An editor ends the file with a line feed, which is not part of the secret.
            SecretString::from(text.trim())
        }
        (None, Some(secret)) => secret.expose_secret().into(),
        (None, None) => {
            let missing = "no secret: give --secret-file, or set RUNLEDGER_HS256_SECRET";
            return Err(CliError::Usage(missing.to_owned()));
        }
    };
    TokenSecret::try_from(secret).map_err(|error| CliError::Usage(error.to_string()))
}

/// Checks a user's name.
fn parse_subject(argument: &str) -> Result<String, String> {
    // The services would refuse a token with any other name.
    argument.parse::<UserId>().map(String::from).map_err(|error| error.to_string())
}

/// Checks names of scopes.
fn parse_scopes(argument: &str) -> Result<String, String> {
    // The services ignore a scope that they do not know, so a typing error would show much later.
    let scopes: Vec<&str> = argument.split_whitespace().collect();
    let known = |name: &str| name.parse::<Scope>().is_ok();
    match scopes.iter().find(|name| !known(name)) {
        Some(unknown) => {
            let known: Vec<&str> = Scope::ALL.iter().map(|scope| scope.as_str()).collect();
            let known = known.join(", ");
            Err(format!("there is no scope {unknown:?}; there are {known}"))
        }
        None if scopes.is_empty() => {
            Err("name at least one scope: submit, read:any or admin".to_owned())
        }
        None => Ok(scopes.join(" ")),
    }
}

fn parse_ttl(argument: &str) -> Result<Duration, String> {
    const UNITS: [(char, u64); 4] = [('s', 1), ('m', 60), ('h', 3_600), ('d', 86_400)];
    const DAYS_MAX: u64 = 3_650;
    let wrong =
        || format!("{argument:?} is not a time such as 90s, 30m, 12h or 7d, up to {DAYS_MAX}d");
    let (unit, seconds) =
        UNITS.into_iter().find(|(unit, _)| argument.ends_with(*unit)).ok_or_else(wrong)?;
    let number: u64 =
        argument.strip_suffix(unit).unwrap_or_default().parse().map_err(|_nan| wrong())?;
    let total = number.checked_mul(seconds).filter(|total| (1..=DAYS_MAX * 86_400).contains(total));
    total.map(Duration::from_secs).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_unit_and_a_bound() {
        for (text, seconds) in [("90s", 90), ("30m", 1_800), ("12h", 43_200), ("7d", 604_800)] {
            assert_eq!(parse_ttl(text), Ok(Duration::from_secs(seconds)));
        }
        for bad in ["", "s", "12", "-1h", "1.5h", "0s", "3651d", "99999999999999999d", "1hh"] {
            assert!(parse_ttl(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn only_known_scopes_are_signed() {
        assert_eq!(parse_scopes(" submit  read:any "), Ok("submit read:any".to_owned()));
        for bad in ["", "submit,admin", "Submit"] {
            assert!(parse_scopes(bad).is_err(), "{bad}");
        }
    }
}

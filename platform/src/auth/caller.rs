//! An authenticated caller: a user and the scopes of the token.

use events::UserId;
use strum::{EnumString, IntoStaticStr, VariantArray};

/// Something that a token may allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "lowercase")]
pub enum Scope {
    /// To submit programs and cancel one's own.
    Submit,
    /// To read what others submitted.
    #[strum(serialize = "read:any")]
    ReadAny,
    /// To run the service.
    Admin,
}

impl Scope {
    /// Every scope.
    pub const ALL: &'static [Self] = Self::VARIANTS;

    /// Returns the scope's name in a token.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// A set of scopes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Scopes(u8);

impl Scopes {
    /// Reads a token's space-separated list.
    pub fn parse(list: &str) -> Self {
        // An issuer may give scopes for other services, too, so a name that is unknown here is left
        // out.
        let known = list.split(' ').filter_map(|name| name.parse::<Scope>().ok());
        Self(known.fold(0, |bits, scope| bits | scope.bit()))
    }

    /// Returns whether the set has the scope.
    pub const fn contains(self, scope: Scope) -> bool {
        self.0 & scope.bit() != 0
    }
}

/// The authenticated caller of a request. As an extractor it needs an `Arc<Verifier>` in the
/// router's state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Who calls.
    pub user: UserId,
    /// What the caller may do.
    pub scopes: Scopes,
}

impl Caller {
    /// Returns whether the caller has the scope.
    pub fn may(&self, scope: Scope) -> bool {
        self.scopes.contains(scope)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_scopes_are_ignored_and_none_is_a_part_of_another() {
        let scopes = Scopes::parse("submit read:anything  openid admin");
        assert!(scopes.contains(Scope::Submit) && scopes.contains(Scope::Admin));
        assert!(!scopes.contains(Scope::ReadAny));
        assert_eq!(Scopes::parse(""), Scopes::default());
        assert_eq!(Scopes::parse("Submit"), Scopes::default());
    }
}

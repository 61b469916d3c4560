//! Environment variables that override the file: `AIRWRITE_<SECTION>_<KEY>`.

use std::collections::BTreeMap;
use std::fmt;

use toml::Spanned;

use super::{ConfigError, Raw};

/// Sections whose variables are ours: an unknown one is a spelling mistake.
const SECTIONS: [&str; 5] = ["STORE", "VAULT", "API", "LOG", "LINK"];

/// What an unknown variable is told.
const KNOWN: &str = "AIRWRITE_STORE_DIRECTORY, AIRWRITE_VAULT_MASTER_KEY_FILE, AIRWRITE_API_LISTEN, \
                     AIRWRITE_LOG_LEVEL or AIRWRITE_LINK_<NAME>_PASSWORD";

/// The variables that may override keys of the file. Its `Debug` shows their names only: one may be a password.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// Those of this process.
    #[must_use]
    pub fn of_process() -> Self {
        // A variable that is not UTF-8 is none of ours.
        std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect()
    }

    /// Puts the values over those of the file.
    pub(super) fn override_in(&self, raw: &mut Raw) -> Result<(), ConfigError> {
        for (name, value) in &self.0 {
            let error =
                |expected: &str| ConfigError::Environment { name: name.clone(), expected: expected.into() };
            match name.strip_prefix("AIRWRITE_").unwrap_or_default() {
                "STORE_DIRECTORY" => raw.store.directory = value.into(),
                "VAULT_MASTER_KEY_FILE" => raw.vault.master_key_file = value.into(),
                "API_LISTEN" => {
                    raw.api.listen = value.parse().map_err(|_| error("an IP address and a port"))?;
                }
                "LOG_LEVEL" => raw.log.level.clone_from(value),
                other => {
                    let link = other.strip_prefix("LINK_").and_then(|rest| rest.strip_suffix("_PASSWORD"));
                    let link = link.ok_or_else(|| error(KNOWN))?;
                    let link = raw
                        .link
                        .iter_mut()
                        .map(Spanned::as_mut)
                        .find(|configured| variable(&configured.name) == link)
                        .ok_or_else(|| error("the name of a configured [[link]] before _PASSWORD"))?;
                    link.password = value.clone().into();
                }
            }
        }
        Ok(())
    }
}

/// A name as it stands in a variable's: upper case, `_` for everything that is no letter or digit.
fn variable(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect()
}

impl FromIterator<(String, String)> for Environment {
    /// Keeps those that begin with `AIRWRITE_` and the name of a section.
    fn from_iter<I: IntoIterator<Item = (String, String)>>(variables: I) -> Self {
        let ours = |name: &str| {
            let rest = name.strip_prefix("AIRWRITE_").unwrap_or_default();
            SECTIONS
                .iter()
                .any(|section| rest.strip_prefix(section).is_some_and(|rest| rest.starts_with('_')))
        };
        Self(variables.into_iter().filter(|(name, _)| ours(name)).collect())
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

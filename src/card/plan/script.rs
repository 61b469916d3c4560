//! A script in the making: which directories have to be selected, and whether it still fits.

use super::capacity::command_parts;
use super::{Action, PlannedCommand, PlannedScript};
use crate::card::profile::{FileName, Profile, Session};
use crate::ota::script::{self, ScriptOptions};
use crate::ota::{Tar, apdu};

/// The beginning of a script, up to a file whose work is done.
#[derive(Debug, Clone)]
pub(super) struct Draft<'a> {
    profile: &'a Profile,
    tar: Tar,
    commands: Vec<PlannedCommand>,
    options: ScriptOptions,
    /// The directory that is selected, from the root; empty while nobody knows.
    directory: Vec<u16>,
}

impl<'a> Draft<'a> {
    /// Nothing yet: the card has just begun a session for `tar`.
    pub(super) fn new(profile: &'a Profile, tar: Tar) -> Self {
        let directory = match profile.write.session {
            Session::Any => Vec::new(),
            Session::Adf => vec![0x7FFF],
            Session::Mf => vec![0x3F00],
        };
        Self { profile, tar, commands: Vec::new(), options: ScriptOptions::default(), directory }
    }

    pub(super) const fn tar(&self) -> Tar {
        self.tar
    }

    /// The same with `file` selected and `work` done on it, and where that `ends` a write, with the REFRESH of the profile
    /// behind it. The card answers before: the REFRESH could keep it from answering at all.
    pub(super) fn with(&self, file: &FileName, work: &[PlannedCommand], ends: bool) -> Self {
        let path = file.path();
        // From the directory down where the file is below it, else from the root.
        let known = if path.starts_with(&self.directory) { self.directory.len() } else { 0 };
        let mut longer = self.clone();
        for (place, identifier) in path.iter().enumerate().skip(known) {
            let file = match path.get(..=place) {
                Some(directory) if directory.len() < path.len() => FileName::Path(directory.to_vec()),
                _ => file.clone(),
            };
            let apdu = apdu::select(*identifier);
            longer.commands.push(PlannedCommand { apdu, file, action: Action::Select });
        }
        longer.commands.extend_from_slice(work);
        if let Some(refresh) = self.profile.write.refresh.filter(|_| ends) {
            let refresh = script::Action::refresh(refresh.qualifier());
            longer.options.immediate_actions = vec![script::Action::EarlyResponse, refresh];
        }
        longer.directory = path.split_last().map(|(_, directory)| directory.to_vec()).unwrap_or_default();
        longer
    }

    /// Whether the card joins as many parts as its packet takes.
    pub(super) fn fits(&self) -> bool {
        command_parts(&self.profile.mt, self.data().len()) <= usize::from(self.profile.mt.max_parts)
    }

    pub(super) fn finish(self) -> PlannedScript {
        let data = self.data();
        let parts = u8::try_from(command_parts(&self.profile.mt, data.len())).unwrap_or(u8::MAX);
        PlannedScript { tar: self.tar, commands: self.commands, options: self.options, data, parts }
    }

    fn data(&self) -> Vec<u8> {
        let commands: Vec<&[u8]> = self.commands.iter().map(|command| command.apdu.as_slice()).collect();
        // Commands built here fit every form, and a profile of the compact one names no REFRESH.
        script::encode(self.profile.write.format, &self.options, &commands).unwrap_or_default()
    }
}

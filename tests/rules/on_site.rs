//! A row's production line: what is exported for the card, and what it answers.

use airwrite::ota::Rsc;

use crate::common::scene::Scene;
use crate::play::Play;
use crate::row::{OnSite, Says};

impl Play {
    /// Reads what is to be brought to the card, and notes what it is.
    pub(crate) async fn export(&mut self) {
        let write = *self.writes.last().unwrap();
        let export = match self.scene.gateway.export(&Scene::owner(), write).await {
            Ok(export) => export,
            Err(error) => {
                self.answers.push(format!("nothing to export: {error}"));
                return;
            }
        };
        let apdus: Vec<Vec<u8>> = export.parts.iter().map(|part| part.apdu.clone()).collect();
        let packet = self.card.open_apdus(&apdus);
        let kind = if packet.write().is_some() { "write" } else { "poll" };
        let again = self.exported.last().is_some_and(|(attempt, last)| {
            assert_eq!((*attempt == export.attempt), *last == apdus, "an attempt is the same octets");
            *last == apdus
        });
        if !again {
            self.packets.push(packet);
            self.exported.push((export.attempt, apdus));
        }
        self.answers.push(format!("exported {kind}{}", if again { " again" } else { "" }));
        self.settle().await;
    }

    /// Posts back what the card answered to the packet exported last.
    pub(crate) async fn post_back(&mut self, how: OnSite, rsc: Rsc, says: Says) {
        let packet = self.packets.last().unwrap().clone();
        let data = self.data(&packet, says);
        let por = self.card.por(&packet, rsc, data.as_ref());
        let responses = match how {
            OnSite::WithGetResponse => {
                let length = u8::try_from(por.len()).unwrap();
                vec![(1, vec![0x61, length]), (1, [&por[..], &[0x90, 0]].concat())]
            }
            OnSite::AtOnce => vec![(1, [&por[..], &[0x90, 0]].concat())],
            OnSite::Changed => {
                let mut por = por;
                *por.last_mut().unwrap() ^= 1;
                vec![(1, [&por[..], &[0x90, 0]].concat())]
            }
            OnSite::Busy => vec![(1, vec![0x93, 0x00])],
        };
        let (attempt, _) = self.exported.last().unwrap();
        let write = *self.writes.last().unwrap();
        self.scene.gateway.responses(&Scene::owner(), write, *attempt, responses).await.unwrap();
        self.settle().await;
    }
}

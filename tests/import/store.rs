//! Cards into the store.

use std::sync::Arc;

use airwrite::cli::sample;
use airwrite::gateway::import::{CardRow, ImportReport, Importer, KeySetRow, import};
use airwrite::store::records::{Claim, Holder, decode_card, encode_claim};
use airwrite::store::{Commit, Guarded, MemoryStore, Store, Unguarded, keys};
use airwrite::vault::{KeyRef, MasterKey, SealRequest, SoftwareVault};
use airwrite::world::{SeededRng, TokioClock};

fn importer(store: &Arc<MemoryStore>) -> Importer {
    let rng = Arc::new(SeededRng::new(1));
    Importer {
        store: store.clone(),
        vault: Arc::new(SoftwareVault::new(MasterKey::from_octets([7; 32]), rng.clone())),
        clock: Arc::new(TokioClock::starting_at(1_000)),
        rng,
    }
}

async fn imported(importer: &Importer, rows: Vec<CardRow>) -> ImportReport {
    import(importer, rows, |_| {}).await.unwrap()
}

fn report(imported: usize, already_there: usize) -> ImportReport {
    ImportReport { imported, already_there, refused: Vec::new() }
}

async fn entries(store: &MemoryStore) -> usize {
    store
        .scan(airwrite::store::Scan::first(airwrite::store::KeyRange::all(), 4096))
        .await
        .unwrap()
        .value
        .len()
}

/// R14: the registry of cards says by EID whether a card has a preset subscription.
#[tokio::test]
async fn a_card_is_there_with_all_that_finds_it() {
    let store = Arc::new(MemoryStore::new());
    let mut epoch = Commit::new();
    epoch.put(keys::Meta::Epoch.key(), Unguarded::encode(&3u64.to_be_bytes()));
    store.commit(epoch).await.unwrap();
    let importer = importer(&store);
    let mut rows = sample::sample(1, 0).unwrap().cards;
    rows[0].floors = vec![("*".to_owned(), 500)];
    let row = rows[0].clone();
    assert_eq!(imported(&importer, rows).await, report(1, 0));

    let preset = row.preset.as_ref().unwrap();
    let index = [keys::eid(row.eid.unwrap()), keys::iccid(row.iccid.unwrap())];
    let found = store.get(index.to_vec()).await.unwrap().value;
    assert_eq!(found[0], found[1]);
    let id: [u8; 16] = Unguarded::decode(found[0].as_ref().unwrap()).unwrap().try_into().unwrap();
    let id = airwrite::card::CardId::from_octets(id);

    let stored = store.get_one(keys::card(id)).await.unwrap().value.unwrap();
    let guarded = Guarded::decode(&stored).unwrap();
    assert_eq!(guarded.version, 1);
    let card = decode_card(guarded.body).unwrap();
    assert_eq!((card.id, card.eid, card.iccid, card.kvn), (id, row.eid, row.iccid, 1));
    assert_eq!((&card.preset, &card.current), (&row.preset, &row.preset));
    let counter = &card.counters[0];
    assert_eq!((counter.scope.as_str(), counter.last, counter.epoch), ("*", 499, 3));
    assert_eq!(counter.next().unwrap().get(), 500);

    for claim in [keys::Claim::Imsi(preset.imsi), keys::Claim::Msisdn(preset.msisdn)] {
        let claim = store.get_one(claim.key()).await.unwrap().value.unwrap();
        let body = Guarded::decode(&claim).unwrap().body.to_vec();
        assert_eq!(body, encode_claim(&Claim { holder: Holder::Card(id) }));
    }
    let number = keys::NumberEntry { number: preset.msisdn, card: id };
    assert!(store.get_one(number.key()).await.unwrap().value.is_some());

    let record = store.get_one(keys::card_keys(id)).await.unwrap().value.unwrap();
    assert!(!record.windows(16).any(|window| window == &row.keys[0].kic[..16]), "keys are sealed");
    let request = SealRequest {
        spi1: airwrite::ota::Spi1(0x16),
        spi2: airwrite::ota::Spi2(0x39),
        tar: airwrite::ota::Tar([1, 2, 3]),
        cntr: airwrite::ota::Cntr::ZERO,
        data: b"x",
    };
    importer.vault.seal(KeyRef { card: id, record: &record, kvn: 1 }, request).await.unwrap();
}

#[tokio::test]
async fn the_same_file_again_changes_nothing() {
    let store = Arc::new(MemoryStore::new());
    let importer = importer(&store);
    let mut told = Vec::new();
    let rows = sample::sample(150, 0).unwrap().cards;
    let first = import(&importer, rows.clone(), |done| told.push(done)).await.unwrap();
    assert_eq!(first, report(150, 0));
    assert_eq!(told, [64, 128, 150]);
    let before = entries(&store).await;
    assert_eq!(imported(&importer, rows.clone()).await, report(0, 150));
    assert_eq!(entries(&store).await, before);
    // What an interrupted import had not reached comes with the next run.
    let more = sample::sample(151, 0).unwrap().cards;
    assert_eq!(imported(&importer, more).await, report(1, 150));
}

#[tokio::test]
async fn a_card_that_is_there_is_never_overwritten() {
    let store = Arc::new(MemoryStore::new());
    let importer = importer(&store);
    let mut rows = sample::sample(2, 0).unwrap().cards;
    rows[0].keys[0].kik = Some(rows[1].keys[0].kic.clone());
    assert_eq!(imported(&importer, rows.clone()).await, report(2, 0));

    let refused = async |change: &dyn Fn(&mut CardRow)| {
        let mut row = rows[0].clone();
        change(&mut row);
        let report = imported(&importer, vec![row]).await;
        assert_eq!((report.imported, report.already_there, report.refused[0].line), (0, 0, 2));
        report.refused[0].reason.clone()
    };
    let reason = refused(&|row| row.keys[0].kid[3] ^= 1).await;
    assert!(
        reason.starts_with("crd_") && reason.ends_with(" is there already and differs in keys"),
        "{reason}"
    );
    assert!(refused(&|row| row.keys[0].kic[0] ^= 1).await.ends_with("differs in keys"));
    assert!(refused(&|row| row.keys[0].kik.as_mut().unwrap()[0] ^= 1).await.ends_with("differs in keys"));
    assert!(refused(&|row| row.keys[0].kik = None).await.ends_with("differs in keys"));
    let second = KeySetRow { kvn: 2, ..rows[0].keys[0].clone() };
    assert!(refused(&|row| row.keys.push(second.clone())).await.ends_with("differs in keys"));
    assert!(refused(&|row| row.keys[0].cc_len = 4).await.ends_with("differs in keys"));
    assert!(refused(&|row| row.owner = "acme".parse().unwrap()).await.ends_with("differs in OWNER"));
    assert!(refused(&|row| row.preset = None).await.ends_with("differs in preset subscription"));
    assert!(refused(&|row| row.iccid = None).await.ends_with("differs in ICCID"));
    assert!(refused(&|row| row.iccid = rows[1].iccid).await.starts_with("EID is of crd_"));
    assert_eq!(imported(&importer, rows.clone()).await, report(0, 2), "nothing has changed");
}

#[tokio::test]
async fn a_preset_number_of_somebody_else_is_refused() {
    let store = Arc::new(MemoryStore::new());
    let importer = importer(&store);
    let rows = sample::sample(2, 0).unwrap().cards;
    assert_eq!(imported(&importer, rows[..1].to_vec()).await, report(1, 0));
    let mut thief = rows[1].clone();
    thief.preset.as_mut().unwrap().msisdn = rows[0].preset.as_ref().unwrap().msisdn;
    let before = entries(&store).await;
    let refused = imported(&importer, vec![thief]).await.refused;
    assert!(refused[0].reason.starts_with("MSISDN is that of crd_"), "{}", refused[0].reason);
    assert_eq!(entries(&store).await, before);

    let write = airwrite::card::WriteId::new(5, &[1; 10]);
    let mut claim = Commit::new();
    let imsi = rows[1].preset.as_ref().unwrap().imsi;
    claim.put(
        keys::Claim::Imsi(imsi).key(),
        Guarded::encode(1, &encode_claim(&Claim { holder: Holder::Write(write) })),
    );
    store.commit(claim).await.unwrap();
    let refused = imported(&importer, rows[1..].to_vec()).await.refused;
    assert_eq!(refused[0].reason, format!("IMSI is the target of {write}"));
}

//! What every store backend promises, held against each of them; and what only the store on disk can show: that its
//! directory is guarded, and that a killed process loses nothing it has acknowledged.

use std::future::Future;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use airwrite::card::CardId;
use airwrite::store::keys::{self, Claim, OutboxEntry, Space, Timer};
use airwrite::store::{
    Commit, CommitError, Expect, Fault, Guarded, KeyRange, KeyText, MemoryStore, Op, Scan, SledStore, Store,
    StoreConfig, StoreError, Unguarded,
};
use bytes::Bytes;

/// A store and what is needed to open it again.
enum Backend {
    Sled { store: Arc<SledStore>, directory: tempfile::TempDir },
    Memory { store: Arc<MemoryStore> },
}

impl Backend {
    async fn sled() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let store = Arc::new(open(directory.path()).await.expect("opens"));
        Self::Sled { store, directory }
    }

    fn memory() -> Self {
        Self::Memory { store: Arc::new(MemoryStore::new()) }
    }

    fn store(&self) -> Arc<dyn Store> {
        match self {
            Self::Sled { store, .. } => Arc::clone(store) as Arc<dyn Store>,
            Self::Memory { store } => Arc::clone(store) as Arc<dyn Store>,
        }
    }

    /// Opens the store again after it was closed.
    async fn reopened(self) -> Self {
        match self {
            Self::Sled { store, directory } => {
                drop(store);
                let store = Arc::new(open(directory.path()).await.expect("opens again"));
                Self::Sled { store, directory }
            }
            Self::Memory { store } => Self::Memory { store: Arc::new(store.crash()) },
        }
    }
}

async fn open(directory: &Path) -> Result<SledStore, StoreError> {
    let config = StoreConfig { cache_mib: 8, ..StoreConfig::in_directory(directory) };
    SledStore::open(&config, Arc::new(|error| panic!("fatal: {error}"))).await
}

/// Runs one promise against both backends.
fn both<F: Future<Output = ()>>(promise: impl Fn(Backend) -> F) {
    for name in ["sled", "memory"] {
        println!("backend {name}");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let backend = if name == "sled" { Backend::sled().await } else { Backend::memory() };
            tokio::time::timeout(Duration::from_secs(30), promise(backend)).await.expect("ends in time");
        });
    }
}

fn text(text: &str) -> KeyText {
    KeyText::new(text).expect("a text for keys")
}

/// A key to write to.
fn key(name: &str) -> airwrite::store::Key {
    Claim::Idempotency { owner: text("t"), value: text(name) }.key()
}

fn put(name: &str, value: &[u8]) -> Commit {
    let mut commit = Commit::new();
    commit.put(key(name), value.to_vec());
    commit
}

async fn value(store: &dyn Store, name: &str) -> Option<Bytes> {
    store.get_one(key(name)).await.expect("reads").value
}

#[test]
fn what_is_committed_is_read_back_in_the_order_asked() {
    both(|backend| async move {
        let store = backend.store();
        let mut commit = put("a", b"1");
        commit.put(key("b"), &b"2"[..]);
        let seq = store.commit(commit).await.expect("commits");
        let read = store.get(vec![key("b"), key("none"), key("a")]).await.expect("reads");
        assert_eq!(read.value, [Some(Bytes::from("2")), None, Some(Bytes::from("1"))]);
        assert!(read.seq >= seq);
        let mut commit = Commit::new();
        commit.delete(key("a")).delete(key("none"));
        store.commit(commit).await.expect("commits");
        assert_eq!(value(&*store, "a").await, None);
        assert_eq!(value(&*store, "b").await, Some(Bytes::from("2")));
    });
}

#[test]
fn the_last_change_of_a_key_stands() {
    both(|backend| async move {
        let store = backend.store();
        let mut commit = put("a", b"1");
        commit.delete(key("a")).put(key("a"), &b"2"[..]).put(key("b"), &b"3"[..]).delete(key("b"));
        store.commit(commit).await.expect("commits");
        assert_eq!(value(&*store, "a").await, Some(Bytes::from("2")));
        assert_eq!(value(&*store, "b").await, None);
    });
}

#[test]
fn a_commit_whose_assertion_fails_changes_nothing_and_names_the_key() {
    both(|backend| async move {
        let store = backend.store();
        let mut first = Commit::new();
        first.expect_absent(key("a")).put(key("a"), Guarded::encode(1, b"first"));
        store.commit(first.clone()).await.expect("commits");

        assert_eq!(store.commit(first).await, Err(CommitError::Conflict(key("a"))));

        for (name, expect) in [
            ("a", Expect::Version(2)),
            ("a", Expect::Version(0)),
            ("a", Expect::Absent),
            ("none", Expect::Version(1)),
        ] {
            let commit = Commit {
                asserts: vec![(key("a"), Expect::Version(1)), (key(name), expect)],
                ops: vec![Op::Put(key("b"), Bytes::from("x")), Op::Delete(key("a"))],
            };
            assert_eq!(store.commit(commit).await, Err(CommitError::Conflict(key(name))), "{expect:?}");
        }
        assert_eq!(value(&*store, "b").await, None);
        assert_eq!(value(&*store, "a").await, Some(Guarded::encode(1, b"first")));
        assert_eq!(store.counters().conflicts, 5);
        assert_eq!(store.counters().commits, 1);

        let mut next = Commit::new();
        next.expect_version(key("a"), 1).expect_absent(key("b")).put(key("a"), Guarded::encode(2, b"second"));
        store.commit(next).await.expect("commits");
        assert_eq!(value(&*store, "a").await, Some(Guarded::encode(2, b"second")));
    });
}

#[test]
fn a_version_asserted_on_a_value_without_one_is_an_error_of_its_own() {
    both(|backend| async move {
        let store = backend.store();
        store.commit(put("a", b"\x01")).await.expect("commits");
        let mut commit = put("b", b"x");
        commit.expect_version(key("a"), 1);
        assert_eq!(store.commit(commit).await, Err(StoreError::Unguarded(key("a")).into()));
        assert_eq!(value(&*store, "b").await, None);
        store.commit(put("b", b"y")).await.expect("the store still serves");
    });
}

#[test]
fn of_racing_commits_on_one_version_exactly_one_wins() {
    both(|backend| async move {
        let store = backend.store();
        store.commit(put("n", &Guarded::encode(1, b""))).await.expect("commits");
        let racer = |name: u8| {
            let store = Arc::clone(&store);
            let mut commit = Commit::new();
            commit.expect_version(key("n"), 1).put(key("n"), Guarded::encode(2, &[name]));
            commit.put(key(&format!("racer{name}")), &b"won"[..]);
            tokio::spawn(async move { store.commit(commit).await })
        };
        let racers: Vec<_> = (0..20).map(racer).collect();
        let mut winners = Vec::new();
        for (name, racer) in (0u8..).zip(racers) {
            match racer.await.expect("ends") {
                Ok(_) => winners.push(name),
                Err(error) => assert_eq!(error, CommitError::Conflict(key("n"))),
            }
        }
        let [winner] = winners[..] else { panic!("winners: {winners:?}") };
        assert_eq!(value(&*store, "n").await, Some(Guarded::encode(2, &[winner])));
        for name in 0..20 {
            let found = value(&*store, &format!("racer{name}")).await;
            assert_eq!(found.is_some(), name == winner, "racer {name}");
        }
    });
}

#[test]
fn sequences_grow_in_the_order_of_the_commits() {
    both(|backend| async move {
        let store = backend.store();
        let mut last = None;
        for n in 0..10u8 {
            let seq = store.commit(put("a", &[n])).await.expect("commits");
            assert!(Some(seq) > last, "{seq}");
            last = Some(seq);
            store.durable(seq).await.expect("is durable");
        }
        let read = store.get_one(key("a")).await.expect("reads");
        assert_eq!((Some(read.seq), read.value), (last, Some(Bytes::from_static(&[9]))));
    });
}

#[test]
fn an_assertion_alone_is_a_commit() {
    both(|backend| async move {
        let store = backend.store();
        let seq = store.commit(Commit::new()).await.expect("commits");
        let mut commit = Commit::new();
        commit.expect_absent(key("a"));
        assert!(store.commit(commit.clone()).await.expect("commits") > seq);
        store.commit(put("a", b"x")).await.expect("commits");
        assert_eq!(store.commit(commit).await, Err(CommitError::Conflict(key("a"))));
    });
}

#[test]
fn a_read_names_a_sequence_that_covers_what_it_saw() {
    both(|backend| async move {
        let store = backend.store();
        let writer = Arc::clone(&store);
        let writing = tokio::spawn(async move {
            let mut seqs = Vec::new();
            for n in 0..50u8 {
                let mut commit = put("a", &[n]);
                commit.put(key("b"), vec![n]);
                seqs.push(writer.commit(commit).await.expect("commits"));
            }
            seqs
        });
        let mut seen = Vec::new();
        while seen.last().is_none_or(|(n, _)| *n < 49) {
            let read = store.get(vec![key("a"), key("b")]).await.expect("reads");
            assert_eq!(read.value[0], read.value[1], "a commit is seen wholly or not at all");
            if let Some(Some(value)) = read.value.first() {
                seen.push((value[0], read.seq));
            }
            tokio::task::yield_now().await;
        }
        let seqs = writing.await.expect("ends");
        for (n, seq) in seen {
            assert_eq!(seq, seqs[usize::from(n)], "value {n}");
            store.durable(seq).await.expect("is durable");
        }
    });
}

#[test]
fn advisory_commits_happen_in_order_and_drop_on_conflict() {
    both(|backend| async move {
        let store = backend.store();
        store.submit(put("a", b"1"));
        store.submit(put("a", b"2"));
        let mut conflicting = put("a", b"3");
        conflicting.expect_absent(key("a"));
        store.submit(conflicting);
        store.commit(put("b", b"after")).await.expect("commits");
        assert_eq!(value(&*store, "a").await, Some(Bytes::from("2")));
        assert_eq!(store.counters().advisory_dropped, 1);
    });
}

#[test]
fn scans_keep_to_their_range_limit_and_direction() {
    both(|backend| async move {
        let store = backend.store();
        let timers =
            [(1, 10), (1, 20), (1, 30), (2, 5)].map(|(shard, due_ms)| Timer { shard, due_ms, id: [7; 16] });
        let mut commit = Commit::new();
        for timer in &timers {
            commit.put(timer.key(), Unguarded::encode(b"t"));
        }
        commit.put(keys::card(CardId::from_octets([1; 16])), Guarded::encode(1, b"card"));
        for seq in 0..5 {
            commit.put(OutboxEntry { endpoint: text("e"), seq }.key(), vec![0]);
            commit.put(OutboxEntry { endpoint: text("ee"), seq }.key(), vec![0]);
        }
        store.commit(commit).await.expect("commits");

        let found = |scan: Scan| {
            let store = Arc::clone(&store);
            async move {
                store
                    .scan(scan)
                    .await
                    .expect("scans")
                    .value
                    .into_iter()
                    .map(|(key, _)| key)
                    .collect::<Vec<_>>()
            }
        };
        let keys_of =
            |indexes: &[usize]| indexes.iter().map(|index| timers[*index].key()).collect::<Vec<_>>();
        assert_eq!(found(Scan::first(Timer::due(1, 20), 10)).await, keys_of(&[0, 1]));
        assert_eq!(found(Scan::first(Timer::of_shard(1), 2)).await, keys_of(&[0, 1]));
        assert_eq!(found(Scan::last(Timer::of_shard(1), 2)).await, keys_of(&[2, 1]));
        assert_eq!(found(Scan::first(Space::Timer.range(), 10)).await, keys_of(&[0, 1, 2, 3]));
        let second_page = Timer::of_shard(1).after(&timers[0].key());
        assert_eq!(found(Scan::first(second_page, 10)).await, keys_of(&[1, 2]));
        let page_before = Timer::of_shard(1).before(&timers[2].key());
        assert_eq!(found(Scan::last(page_before, 10)).await, keys_of(&[1, 0]));
        assert_eq!(found(Scan::first(Timer::of_shard(1), 0)).await, []);
        assert_eq!(found(Scan::first(Timer::of_shard(9), 10)).await, []);
        assert_eq!(found(Scan::first(Timer::of_shard(1).after(&timers[3].key()), 10)).await, []);
        assert_eq!(found(Scan::first(OutboxEntry::of_endpoint(&text("e")), 10)).await.len(), 5);
        // Everything, the store's own version included.
        let all = found(Scan::first(KeyRange::all(), 100)).await;
        assert_eq!(all.len(), 4 + 1 + 10 + 1);
        assert!(all.is_sorted());
        assert_eq!(all.last(), Some(&keys::Meta::StoreVersion.key()));
    });
}

#[test]
fn what_exceeds_a_limit_is_refused_and_changes_nothing() {
    both(|backend| async move {
        let store = backend.store();
        let largest = vec![0xAA; 16 * 1024 - 1];
        store.commit(put("fits", &largest)).await.expect("commits");
        assert_eq!(value(&*store, "fits").await, Some(Bytes::from(largest.clone())));

        let refused = |error: CommitError| matches!(error, CommitError::Store(StoreError::TooLarge { .. }));
        let mut commit = put("a", b"1");
        commit.put(key("b"), vec![0; 16 * 1024]);
        assert!(refused(store.commit(commit).await.expect_err("a value too large")));

        let mut commit = Commit::new();
        for n in 0..4096 {
            commit.put(key(&format!("n{n}")), vec![1]);
        }
        store.commit(commit.clone()).await.expect("commits");
        commit.put(key("a"), vec![1]);
        assert!(refused(store.commit(commit).await.expect_err("too many changes")));

        let mut commit = Commit::new();
        for n in 0..300 {
            commit.put(key(&format!("n{n}")), largest.clone());
        }
        assert!(refused(store.commit(commit).await.expect_err("too many octets")));

        assert_eq!(value(&*store, "a").await, None);
        let too_many = vec![key("a"); 4097];
        assert!(matches!(store.get(too_many).await, Err(StoreError::TooLarge { .. })));
        let scan = Scan::first(KeyRange::all(), 4097);
        assert!(matches!(store.scan(scan).await, Err(StoreError::TooLarge { .. })));
        store.submit(put("a", &vec![0; 16 * 1024]));
        assert_eq!(store.counters().advisory_dropped, 1);
    });
}

#[test]
fn a_dropped_future_does_not_take_its_commit_back() {
    both(|backend| async move {
        let store = backend.store();
        let mut commit = store.commit(put("a", b"1"));
        let first = std::future::poll_fn(|context| std::task::Poll::Ready(commit.as_mut().poll(context)));
        let _ = first.await;
        drop(commit);
        store.commit(put("b", b"2")).await.expect("commits");
        assert_eq!(value(&*store, "a").await, Some(Bytes::from("1")));
    });
}

#[test]
fn a_closed_store_has_kept_everything_and_serves_nothing() {
    both(|backend| async move {
        let store = backend.store();
        for n in 0..100u8 {
            store.submit(put(&format!("advisory{n}"), &[n]));
        }
        store.commit(put("a", b"1")).await.expect("commits");
        store.submit(put("last", b"2"));
        store.close().await.expect("closes");

        assert_eq!(store.commit(put("b", b"2")).await, Err(StoreError::Closed.into()));
        assert_eq!(store.get_one(key("a")).await.map(|read| read.value), Err(StoreError::Closed));
        assert_eq!(store.scan(Scan::first(KeyRange::all(), 1)).await.map(|_| ()), Err(StoreError::Closed));
        assert_eq!(store.close().await, Err(StoreError::Closed));
        drop(store);

        let backend = backend.reopened().await;
        let store = backend.store();
        assert_eq!(value(&*store, "a").await, Some(Bytes::from("1")));
        assert_eq!(value(&*store, "last").await, Some(Bytes::from("2")));
        assert_eq!(value(&*store, "advisory99").await, Some(Bytes::from_static(&[99])));
        assert_eq!(value(&*store, "b").await, None);
        store.commit(put("b", b"2")).await.expect("commits again");
    });
}

mod memory {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_crash_forgets_what_is_not_durable_and_nothing_else() {
        let store = Arc::new(MemoryStore::new());
        store.commit(put("kept", b"1")).await.expect("commits");
        store.commit(put("changed", b"old")).await.expect("commits");
        store.hold();
        let mut lost = put("changed", b"new");
        lost.put(key("changed"), &b"newer"[..]).delete(key("kept")).put(key("added"), &b"x"[..]);
        let committing = tokio::spawn({
            let store = Arc::clone(&store);
            async move { store.commit(lost).await }
        });
        tokio::task::yield_now().await;
        let read = store.get_one(key("changed")).await.expect("reads");
        assert_eq!(read.value, Some(Bytes::from("newer")), "reads see what is not durable yet");
        assert!(!committing.is_finished());

        let after = store.crash();
        let error = committing.await.expect("ends").expect_err("lost");
        assert_eq!(error, CommitError::Store(StoreError::Lost(read.seq)));
        assert_eq!(store.durable(read.seq).await, Err(StoreError::Lost(read.seq)));
        assert_eq!(store.commit(put("zombie", b"x")).await, Err(StoreError::Closed.into()));
        assert_eq!(value(&after, "changed").await, Some(Bytes::from("old")));
        assert_eq!(value(&after, "kept").await, Some(Bytes::from("1")));
        assert_eq!(value(&after, "added").await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn durability_takes_its_delay_and_keeps_the_order() {
        let store = MemoryStore::new();
        store.set_delay(Duration::from_millis(50));
        let start = tokio::time::Instant::now();
        store.submit(put("a", b"1"));
        let seq = store.get_one(key("a")).await.expect("reads").seq;
        store.set_delay(Duration::ZERO);
        store.commit(put("b", b"2")).await.expect("commits");
        assert_eq!(start.elapsed().as_millis(), 50, "a later commit is never durable before an earlier one");
        store.durable(seq).await.expect("is durable");
    }

    #[tokio::test(start_paused = true)]
    async fn held_durability_resumes_with_release() {
        let store = Arc::new(MemoryStore::new());
        store.hold();
        let committing = tokio::spawn({
            let store = Arc::clone(&store);
            async move { store.commit(put("a", b"1")).await }
        });
        tokio::time::sleep(Duration::from_secs(3600)).await;
        assert!(!committing.is_finished());
        store.release();
        committing.await.expect("ends").expect("commits");
    }

    #[tokio::test(start_paused = true)]
    async fn faults_happen_in_the_order_they_were_ordered() {
        let store = MemoryStore::new();
        store.fail_next(Fault::NotApplied);
        store.fail_next(Fault::AppliedUnreported);
        for (name, applied) in [("a", false), ("b", true)] {
            let error = store.commit(put(name, b"1")).await.expect_err("the fault");
            assert!(matches!(error, CommitError::Store(StoreError::Io(_))));
            assert_eq!(value(&store, name).await.is_some(), applied);
        }
        store.commit(put("c", b"1")).await.expect("no fault is left");

        store.lose_advisory(true);
        store.submit(put("d", b"1"));
        assert_eq!(value(&store, "d").await, None);
        assert_eq!(store.counters().advisory_dropped, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_poisoned_store_serves_again_after_recovery_without_what_was_lost() {
        let store = MemoryStore::new();
        store.hold();
        store.submit(put("a", b"1"));
        let seq = store.get_one(key("a")).await.expect("reads").seq;
        store.poison();
        assert_eq!(store.get_one(key("a")).await.map(|read| read.value), Err(StoreError::Poisoned));
        assert_eq!(store.commit(put("b", b"1")).await, Err(StoreError::Poisoned.into()));
        store.recover();
        store.release();
        assert_eq!(value(&store, "a").await, None);
        let later = store.commit(put("b", b"1")).await.expect("commits");
        assert!(later > seq);
        assert_eq!(store.durable(seq).await, Err(StoreError::Lost(seq)));
    }
}

mod sled_store {
    use super::*;

    #[tokio::test]
    async fn a_second_open_is_refused() {
        let directory = tempfile::tempdir().expect("a directory");
        let store = open(directory.path()).await.expect("opens");
        let error = open(directory.path()).await.expect_err("the directory is held");
        assert!(matches!(error, StoreError::AnotherProcess(_)), "{error}");
        store.commit(put("a", b"1")).await.expect("the first still serves");
        store.close().await.expect("closes");
        open(directory.path()).await.expect("opens again");
    }

    #[tokio::test]
    async fn a_store_of_another_format_is_refused_and_left_alone() {
        let directory = tempfile::tempdir().expect("a directory");
        let store = open(directory.path()).await.expect("opens");
        let mut commit = Commit::new();
        commit.put(keys::Meta::StoreVersion.key(), Unguarded::encode(&2u32.to_be_bytes()));
        store.commit(commit).await.expect("commits");
        store.close().await.expect("closes");
        for _ in 0..2 {
            let error = open(directory.path()).await.expect_err("another format");
            assert_eq!(error, StoreError::OtherVersion { found: 2, expected: 1 });
        }
    }

    #[tokio::test]
    async fn an_unfinished_snapshot_is_moved_aside() {
        let directory = tempfile::tempdir().expect("a directory");
        let store = open(directory.path()).await.expect("opens");
        store.commit(put("a", b"1")).await.expect("commits");
        store.close().await.expect("closes");
        let unfinished = "snap.FFFFFFFFFFFFFFFF.generating";
        std::fs::write(directory.path().join(unfinished), b"").expect("writes");
        let store = open(directory.path()).await.expect("opens in spite of it");
        assert_eq!(value(&store, "a").await, Some(Bytes::from("1")));
        assert!(directory.path().join(format!("aside.{unfinished}")).exists());
    }

    #[tokio::test]
    async fn a_directory_that_cannot_be_made_is_an_io_error() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("file");
        std::fs::write(&file, b"").expect("writes");
        let error = open(&file.join("below")).await.expect_err("no directory");
        assert!(matches!(error, StoreError::Io(_)), "{error}");
    }

    const CHAIN_DIRECTORY: &str = "AIRWRITE_TEST_CHAIN_DIRECTORY";

    /// The process that is killed: raises a counter, in two records at once, and says each number it has been told
    /// is durable. Does nothing where it is run as a test like the others.
    #[tokio::test]
    async fn chain_writer() {
        let Ok(directory) = std::env::var(CHAIN_DIRECTORY) else { return };
        let store = open(Path::new(&directory)).await.expect("opens");
        let mut n = chain(&store).await;
        loop {
            let mut commit = Commit::new();
            if n == 0 {
                commit.expect_absent(key("chain"));
            } else {
                commit.expect_version(key("chain"), n);
            }
            n += 1;
            commit.put(key("chain"), Guarded::encode(n, &vec![0xEE; 700]));
            commit.put(key("twin"), Guarded::encode(n, b""));
            commit.put(OutboxEntry { endpoint: text("chain"), seq: n }.key(), vec![0; 100]);
            store.commit(commit).await.expect("commits");
            println!("\ndurable {n}");
        }
    }

    /// The number the chain has reached; both records must agree on it, and no entry may be missing.
    async fn chain(store: &SledStore) -> u64 {
        let read = store.get(vec![key("chain"), key("twin")]).await.expect("reads");
        let versions: Vec<_> = read
            .value
            .iter()
            .map(|value| value.as_ref().map_or(0, |value| Guarded::decode(value).expect("guarded").version))
            .collect();
        assert_eq!(versions[0], versions[1], "a commit is there wholly or not at all");
        let last =
            store.scan(Scan::last(OutboxEntry::of_endpoint(&text("chain")), 1)).await.expect("scans").value;
        let entry = last.first().map_or(0, |(key, _)| OutboxEntry::parse(key).expect("an entry").seq);
        assert_eq!(entry, versions[0]);
        versions[0]
    }

    #[tokio::test]
    async fn a_killed_process_loses_nothing_acknowledged() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut reached = 0;
        for round in 0..6u64 {
            let mut child = spawn_chain_writer(directory.path());
            let acknowledged = kill_after(&mut child, reached + 20 + round * 17);
            let store = open(directory.path()).await.expect("opens after the kill");
            let found = chain(&store).await;
            assert!(
                found >= acknowledged,
                "round {round}: {acknowledged} was acknowledged, {found} is there"
            );
            assert!(found <= acknowledged + 1, "round {round}: only one commit was under way");
            reached = found;
            store.close().await.expect("closes");
        }
    }

    fn spawn_chain_writer(directory: &Path) -> Child {
        Command::new(std::env::current_exe().expect("the test binary"))
            .args(["--exact", "sled_store::chain_writer", "--nocapture", "--test-threads=1"])
            .env(CHAIN_DIRECTORY, directory)
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("starts")
    }

    /// Kills the writer once it has said `enough`; the last number that it has said.
    fn kill_after(child: &mut Child, enough: u64) -> u64 {
        let output = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut last = 0;
        let mut killed = false;
        for line in output.lines() {
            let line = line.expect("text");
            let Some(n) = line.strip_prefix("durable ") else { continue };
            last = n.parse().expect("a number");
            if last >= enough && !killed {
                child.kill().expect("kills");
                killed = true;
            }
        }
        let status = child.wait().expect("ends");
        assert!(killed && !status.success(), "the writer ended by itself: {status}");
        last
    }
}

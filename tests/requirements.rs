//! Every requirement is named by a test that shows it: `R<n>` in the doc comment directly above the test, or `r<n>_` in its
//! name.
//!
//! | | |
//! |---|---|
//! | R1 to R9 | binding |
//! | R10 to R14 | write request |
//! | R15 to R18 | over the air |
//! | R19, R20 | on site |
//! | R21 | the programs |
//! | R22 to R27 | what the flows need besides |

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

const LAST: u32 = 27;

/// A function in the sources, with what stands directly above it.
struct Function {
    name: String,
    docs: String,
    is_test: bool,
}

#[test]
fn every_requirement_is_named_by_a_test() {
    let mut shown: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    let mut wrong = Vec::new();
    for file in sources() {
        let text = fs::read_to_string(&file).unwrap();
        let in_tests = file.starts_with(root().join("tests"));
        for function in functions(&text) {
            let place = format!("{}: {}", file.strip_prefix(root()).unwrap().display(), function.name);
            for number in function.named() {
                if function.is_test && (1..=LAST).contains(&number) {
                    shown.entry(number).or_default().push(place.clone());
                } else if function.is_test {
                    wrong.push(format!("{place}: there is no R{number}"));
                } else if in_tests {
                    wrong.push(format!("{place}: R{number} is named above what is no test"));
                }
            }
        }
    }
    for (number, places) in &shown {
        println!("R{number}: {}", places.join(", "));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let missing: Vec<u32> = (1..=LAST).filter(|number| !shown.contains_key(number)).collect();
    assert!(missing.is_empty(), "no test names {missing:?}");
}

/// A tag that hangs in the air (its test was renamed away, or deleted) names nothing.
#[test]
fn a_tag_counts_only_above_a_test() {
    let text = "/// R1, R2: one.\n#[test]\nfn one() {}\n\n/// R3: text\n\nfn r4_helper() {}\n\n#[tokio::test(start_paused = true)]\nasync fn r5_r6_i7_two() {}\n/// R77x is none, XR7 too, R8a is R8.\n#[test]\nfn three() {}\n";
    let named = |function: &Function| (function.name.clone(), function.is_test, function.named());
    let found: Vec<_> = functions(text).iter().map(named).collect();
    let expected = [
        ("one".to_owned(), true, BTreeSet::from([1, 2])),
        ("r4_helper".to_owned(), false, BTreeSet::from([4])),
        ("r5_r6_i7_two".to_owned(), true, BTreeSet::from([5, 6])),
        ("three".to_owned(), true, BTreeSet::from([8])),
    ];
    assert_eq!(found, expected);
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn sources() -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut open = vec![root().join("src"), root().join("tests")];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs")
                && path != Path::new(&root()).join(file!())
            {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

/// The functions of a source text, each with the doc comment and the attributes directly above it.
fn functions(text: &str) -> Vec<Function> {
    let mut functions = Vec::new();
    let (mut docs, mut is_test) = (String::new(), false);
    for line in text.lines().map(str::trim) {
        if let Some(doc) = line.strip_prefix("///") {
            docs.push_str(doc);
            docs.push('\n');
        } else if line.starts_with("#[") {
            is_test |= line.starts_with("#[test]") || line.starts_with("#[tokio::test");
        } else {
            if let Some(name) = name_of(line) {
                functions.push(Function { name, docs: std::mem::take(&mut docs), is_test });
            }
            (docs, is_test) = (String::new(), false);
        }
    }
    functions
}

fn name_of(line: &str) -> Option<String> {
    let (before, after) = line.split_once("fn ")?;
    let words = ["", "async", "pub", "pub(crate)", "pub(super)", "const"];
    if !before.split(' ').all(|word| words.contains(&word)) {
        return None;
    }
    let name: String = after.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
    (!name.is_empty()).then_some(name)
}

impl Function {
    /// The requirements that it names.
    fn named(&self) -> BTreeSet<u32> {
        let words = self.docs.split(|c: char| !c.is_ascii_alphanumeric());
        let in_docs = words.filter_map(|word| word.strip_prefix('R'));
        let in_name = self.name.split('_').filter_map(|word| word.strip_prefix('r'));
        in_docs.chain(in_name).filter_map(number).collect()
    }
}

/// A number of at most two digits, perhaps with the letter of a part behind it.
fn number(text: &str) -> Option<u32> {
    let digits = text.strip_suffix(['a', 'b']).unwrap_or(text);
    if digits.is_empty() || digits.len() > 2 || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok()
}

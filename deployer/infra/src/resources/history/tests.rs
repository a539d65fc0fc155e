use super::*;

fn record(number: u64, state: State, again: Option<u64>) -> Record {
    Record {
        format_version: 1,
        number,
        state,
        why: None,
        again,
        time: 0,
        who: String::new(),
        version: "1".to_owned(),
        git_sha: format!("abc{}", again.unwrap_or(number)),
        arch: "x86_64".to_owned(),
        changed: vec![],
        deployment: "d".to_owned(),
        throttling: BTreeMap::new(),
        functions: BTreeMap::new(),
        endpoints: crate::fixture::APP.endpoints.to_vec(),
    }
}

fn back(records: &[Record]) -> Option<u64> {
    before(records, current(records)?).map(|record| record.number)
}

#[test]
fn going_back_twice_goes_further_back() {
    use State::*;
    let mut records = vec![record(1, Live, None), record(2, Live, None), record(3, Live, None)];
    assert_eq!(back(&records), Some(2));
    records.push(record(4, Live, Some(2)));
    assert_eq!(back(&records), Some(1));
    records.push(record(5, Live, Some(1)));
    assert_eq!(back(&records), None);
    records.push(record(6, Live, None));
    assert_eq!(back(&records), Some(5)); // what served before, whichever code that is
    assert_eq!(served_before(&records, &records[5]).map(|record| record.number), Some(5));
}

#[test]
fn a_release_that_serves_the_same_is_passed_over() {
    use State::*;
    let mut records = vec![record(1, Live, None), record(2, Live, None)];
    records.push(record(3, Live, Some(1)));
    records.push(Record { number: 4, ..records[1].clone() }); // the commit of 2, deployed again
    records.push(Record { number: 5, again: Some(4), ..records[1].clone() });
    assert_eq!(back(&records), Some(3));
}

#[test]
fn nobody_goes_back_to_what_failed() {
    use State::*;
    let mut records = vec![record(1, Live, None), record(2, Failed, None)];
    assert_eq!(current(&records).map(|record| record.number), Some(1));
    records.push(record(3, Unfinished, None));
    assert_eq!(back(&records), Some(1));
    assert_eq!(served_before(&records, &records[2]).map(|record| record.number), Some(1));
    assert_eq!(kept(&records, 5).len(), 1);
}

#[test]
fn so_many_of_different_code_are_kept() {
    use State::*;
    let mut records: Vec<_> = (1..=5).map(|number| record(number, Live, None)).collect();
    records.push(record(6, Live, Some(2)));
    records.push(record(7, Failed, None));
    let numbers = |records: Vec<&Record>| records.iter().map(|r| r.number).collect::<Vec<_>>();
    assert_eq!(numbers(kept(&records, 3)), [6, 5, 4, 2]);
    assert_eq!(numbers(forgotten(&records, &kept(&records, 3))), [1, 3]);
    assert_eq!(numbers(kept(&records, 1)), [6, 2]);
}

#[test]
fn what_changed_is_said_in_words() {
    let served = |version: &str, code: &str| {
        let (version, code_sha256) = (version.to_owned(), code.to_owned());
        Served { version, code_sha256 }
    };
    let mut old = record(1, State::Live, None);
    old.functions = [("a", "1"), ("b", "1"), ("c", "1")]
        .map(|(name, version)| (name.to_owned(), served(version, name)))
        .into();
    let mut new = old.clone();
    new.functions.insert("a".to_owned(), served("2", "other"));
    new.functions.insert("b".to_owned(), served("2", "b"));
    new.functions.remove("c");
    new.deployment = "e".to_owned();
    let says = ["code of a", "settings of b", "without c", "routes"];
    assert_eq!(new.changes(Some(&old)), says);
    assert_eq!(old.changes(None), ["first release"]);
    assert!(old.changes(Some(&old)).is_empty() && !new.is_like(&old));
}

#[test]
fn a_record_survives_being_written_and_a_strange_one_is_refused() {
    let text = serde_json::to_string(&record(7, State::Returning, Some(3))).unwrap();
    let read: Record = serde_json::from_str(&text).unwrap();
    assert_eq!((read.number, read.state, read.origin()), (7, State::Returning, 3));
    assert_eq!(read.endpoints, crate::fixture::APP.endpoints);
    assert!(read.is_sound("releases/00000007.json"));
    assert!(!read.is_sound("releases/00000008.json"));
    for version in ["", "1 2", "\u{1b}[31m"] {
        let strange = Record { version: version.to_owned(), ..read.clone() };
        assert!(!strange.is_sound(&strange.key()), "{version:?}");
    }
    let strange = Record { number: u64::MAX, ..read.clone() };
    assert!(!strange.is_sound(&strange.key()));
    let mut strange = read;
    let (version, code_sha256) = ("$LATEST".to_owned(), String::new());
    strange.functions.insert("root".to_owned(), Served { version, code_sha256 });
    assert!(!strange.is_sound(&strange.key()));
}

#[test]
fn gaps_are_the_numbers_between_records() {
    use State::*;
    assert_eq!(gaps(&[]), Vec::<u64>::new());
    let records = [record(3, Live, None), record(4, Failed, None), record(7, Live, None)];
    assert_eq!(gaps(&records), [5, 6]);
    let far = [record(1, Live, None), record(NUMBERS - 1, Live, None)];
    assert_eq!(gaps(&far).len(), 100);
}

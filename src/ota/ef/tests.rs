use proptest::prelude::*;

use super::*;
use crate::identity::Msisdn;
use crate::ota::tp::TpAddress;

/// The subscription of the golden values: network 001/01, network code of 2 digits.
const IMSI: &str = "001010123456789";
const NUMBER: &str = "447797704848";

fn decode(file: Ef, octets: &str) -> Content {
    let octets = hex::decode(octets.replace(' ', "")).unwrap();
    let content = Content::decode(file, &octets).unwrap();
    assert_eq!(hex::encode(content.encode()), hex::encode(&octets), "{file}");
    assert_covered(&content);
    content
}

/// The fields stand one behind the other and leave nothing out.
fn assert_covered(content: &Content) {
    let end = content.fields().into_iter().fold(0, |end, field| {
        assert_eq!(field.octets.start, end, "{}", field.name);
        field.octets.end
    });
    assert_eq!(end, content.encode().len());
}

fn texts(content: &Content) -> Vec<(&'static str, String)> {
    content.fields().into_iter().map(|field| (field.name, field.value)).collect()
}

#[test]
fn a_subscription_in_its_files() {
    let imsi: Imsi = IMSI.parse().unwrap();
    let home = Plmn::of_imsi(&imsi, 2).unwrap();
    let number: Msisdn = NUMBER.parse().unwrap();
    let ff = |octets: usize| "ff".repeat(octets);
    let golden = [
        (Ef::Imsi, Content::Imsi(imsi), "08 09 10 10 10 32 54 76 98".into()),
        (Ef::Imsi, Content::Imsi("31041012345678".parse().unwrap()), "08 31 01 14 10 32 54 76 f8".into()),
        (Ef::Acc, Content::Acc(Acc::of_imsi(&imsi)), "0200".into()),
        (Ef::Ad, Content::Ad(Ad::normal(2)), "00000002".into()),
        (
            Ef::Msisdn,
            Content::Msisdn(MsisdnRecord::new(number, 10)),
            format!("{} 07 91 44 77 79 07 84 84 ff ff ff ff ff ff", ff(10)),
        ),
        (
            Ef::Smsp,
            Content::Smsp(Smsp::of_service_centre(&number, 10)),
            format!("{} fd {} 07 91 44 77 79 07 84 84 ff ff ff ff ff ff ff", ff(10), ff(12)),
        ),
        (Ef::Loci, Content::unused(Ef::Loci, home, 0), "ffffffff 00f110 0000 ff 01".into()),
        (Ef::PsLoci, Content::unused(Ef::PsLoci, home, 0), "ffffffff ffffff 00f110 0000 ff 01".into()),
        (Ef::EpsLoci, Content::unused(Ef::EpsLoci, home, 0), format!("{} 00f110 0000 01", ff(12))),
        (
            Ef::FiveGs3gppLoci,
            Content::unused(Ef::FiveGs3gppLoci, home, 0),
            format!("{} 00f110 000000 01", ff(13)),
        ),
        (Ef::Fplmn, Content::unused(Ef::Fplmn, home, 12), ff(12)),
        (Ef::Keys, Content::unused(Ef::Keys, home, 0), format!("07 {}", ff(32))),
        (Ef::KeysPs, Content::unused(Ef::KeysPs, home, 33), format!("07 {}", ff(32))),
        (Ef::EpsNsc, Content::unused(Ef::EpsNsc, home, 54), ff(54)),
        (Ef::OplmnWact, Content::unused(Ef::OplmnWact, home, 10), "ffffff0000 ffffff0000".into()),
        (
            Ef::Spn,
            Content::Spn(Spn::new("MyOperator").unwrap()),
            format!("01 4d794f70657261746f72 {}", ff(6)),
        ),
    ];
    for (file, content, octets) in golden {
        assert_eq!(hex::encode(content.encode()), octets.replace(' ', ""), "{file}");
        assert_eq!(decode(file, &octets), content);
    }
    let iccid = decode(Ef::Iccid, "98400923000000000071");
    assert_eq!(texts(&iccid), [("ICCID", "89049032000000000017".into())]);
}

#[test]
fn fields_say_what_stands_where() {
    let loci = decode(Ef::Loci, "12345678 62f210 0102 00 00");
    assert_eq!(
        texts(&loci),
        [
            ("TMSI", "12345678".into()),
            ("PLMN", "26201".into()),
            ("LAC", "0102".into()),
            ("RFU", "00".into()),
            ("update status", "00 updated".into()),
        ]
    );
    assert_eq!(loci.fields()[2].octets, 7..9);
    let last = |file, octets: &str| texts(&decode(file, octets)).pop().unwrap().1;
    assert_eq!(last(Ef::PsLoci, "00000000 000000 13f010 0102 03 03"), "03 routing area not allowed");
    assert_eq!(last(Ef::EpsLoci, &format!("{} ffffff fffe 02", "00".repeat(12))), "02 roaming not allowed");
    assert_eq!(last(Ef::EpsLoci, &format!("{} ffffff fffe 03", "00".repeat(12))), "03 reserved");
    assert_eq!(last(Ef::Fplmn, "62f210 ffffff"), "none");
    assert_eq!(last(Ef::PlmnWact, "62f2108000"), "UTRAN");
    assert_eq!(last(Ef::Acc, "8001"), "0, 15");
    assert_eq!(last(Ef::Acc, "0000"), "none");
    assert_eq!(last(Ef::Ad, "81000103ff"), "FF");
    assert_eq!(texts(&decode(Ef::Ad, "81000104"))[2].1, "04 not 2 or 3");
    assert_eq!(
        last(Ef::Spn, "0280 0411 0412 ffffffffffffffffffff 00"),
        "800411 0412FFFFFFFFFFFFFFFFFFFF00".replace(' ', "")
    );
}

#[test]
fn parameters_of_short_messages_are_there_or_not() {
    // Name, identifier, coding scheme and validity period; an address that is there but empty.
    let octets = "4e6574ff e1 ffffffffffffffffffffffff ffffffffffffffffffffffff 00 00 a7";
    let content = Content::decode(Ef::Smsp, &hex::decode(octets.replace(' ', "")).unwrap()).unwrap();
    assert_eq!(
        texts(&content),
        [
            ("alpha identifier", "\"Net\"".into()),
            ("parameter indicators", "E3".into()),
            ("TP-Destination address", "none".into()),
            ("TS-Service centre address", "none".into()),
            ("TP-Protocol identifier", "00".into()),
            ("TP-Data coding scheme", "00".into()),
            ("TP-Validity period", "1440 minutes".into()),
        ]
    );
    let period = |octet: &str| {
        texts(&decode(Ef::Smsp, &format!("ef {} ffff{octet}", "ff".repeat(24)))).pop().unwrap().1
    };
    assert_eq!(period("00"), "5 minutes");
    assert_eq!(period("a8"), "2880 minutes");
    assert_eq!(period("ff"), "635040 minutes");
    // TP-DA counts digits, the service centre octets.
    let both = decode(
        Ef::Smsp,
        &format!("fc 0581 0106f4 {} 0791 4477790784 84 {} ffffff", "ff".repeat(7), "ff".repeat(4)),
    );
    assert_eq!(texts(&both)[1].1, "10604 (type 81)");
    assert_eq!(texts(&both)[2].1, "447797704848 (type 91)");
    for (wrong, field) in [
        ("fe 1581", "TP-Destination address"),
        ("fd ffffffffffffffffffffffff 0c91", "TS-Service centre address"),
        ("fd ffffffffffffffffffffffff 0391aabb", "TS-Service centre address"),
    ] {
        let mut octets = hex::decode(wrong.replace(' ', "")).unwrap();
        octets.resize(28, 0xFF);
        assert!(
            matches!(Content::decode(Ef::Smsp, &octets), Err(EfError::Address { field: found, .. }) if found == field)
        );
    }
}

#[test]
fn keys_are_never_shown() {
    let secret = "5e".repeat(16);
    let keys = decode(Ef::Keys, &format!("03 {secret}{secret}"));
    let nsc = decode(
        Ef::EpsNsc,
        &format!("a034 800103 8120{secret}{secret} 820400000005 830400000007 840102 {}", "ff".repeat(2)),
    );
    let auth = decode(Ef::FiveGAuthKeys, &format!("8020{secret}{secret}8120{secret}{secret}"));
    for content in [&keys, &nsc, &auth] {
        let shown = format!("{content:?} {:?}", content.fields()).to_lowercase();
        assert!(!shown.contains("5e5e") && !shown.contains("94, 94"), "{shown}");
        assert!(shown.contains("not shown"));
    }
    assert_eq!(texts(&nsc)[1], ("key set identifier", "03".into()));
    assert_eq!(texts(&nsc)[4], ("downlink NAS count", "00000007".into()));
    assert!(matches!(Content::decode(Ef::EpsNsc, &[0xA0; 54]), Err(EfError::Tlv(_))));
}

#[test]
fn another_length_names_the_file() {
    let error = Content::decode(Ef::Imsi, &[8; 8]).unwrap_err();
    assert_eq!(error.to_string(), "EF.IMSI: expected 9 octets, found 8");
    let error = Content::decode(Ef::Fplmn, &[0; 13]).unwrap_err();
    assert_eq!(error.to_string(), "EF.FPLMN: expected a multiple of 3 octets, found 13");
    let error = Content::decode(Ef::Smsp, &[0; 27]).unwrap_err();
    assert_eq!(error.to_string(), "EF.SMSP: expected 28 or more octets, found 27");
    assert_eq!(decode(Ef::Imsi, &"ff".repeat(9)), Content::Blank(9));
}

proptest! {
    #[test]
    fn files_are_written_as_they_were_read(file in prop::sample::select(&Ef::ALL[..]), octets in prop::collection::vec(any::<u8>(), 0..80), plmns: bool) {
        let mut octets = octets;
        match file.length() {
            Length::Exactly(length) => octets.resize(length.into(), 0x11),
            Length::AtLeast(length) => octets.resize(usize::from(length).max(octets.len()), 0x11),
            Length::Entries(length) => octets.truncate(octets.len() / usize::from(length) * usize::from(length)),
        }
        if plmns {
            octets.iter_mut().for_each(|octet| *octet &= 0x77);
        }
        if let Ok(content) = Content::decode(file, &octets) {
            assert_covered(&content);
            // What these two leave out is not kept.
            if matches!(file, Ef::Msisdn | Ef::Smsp) {
                prop_assert_eq!(Content::decode(file, &content.encode()), Ok(content));
            } else {
                prop_assert_eq!(content.encode(), octets);
            }
        }
    }

    #[test]
    fn parameters_of_short_messages_read_as_they_are_written(
        alpha in prop::collection::vec(any::<u8>(), 0..12),
        destination in prop::option::of("[0-9*#abc]{0,20}"),
        centre in prop::option::of("[0-9]{1,20}"),
        octets: [Option<u8>; 3],
    ) {
        let [pid, dcs, validity_period] = octets;
        let address = |digits: Option<String>| digits.map(|digits| TpAddress::new(0x91, &digits).unwrap());
        let record = Smsp {
            alpha, destination: address(destination), service_centre: address(centre), pid, dcs, validity_period,
        };
        let content = Content::Smsp(record);
        let read = Content::decode(Ef::Smsp, &content.encode()).unwrap();
        // A record without a name and parameters is one that nothing was written to.
        prop_assert!(read == content || matches!(read, Content::Blank(_)), "{:?}", read);
    }
}

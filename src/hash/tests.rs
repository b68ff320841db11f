use super::*;

const PLAIN: &[u8] = b"sip:alice@example.com";
const UTF8: &str = "sip:jürgen@example.com";

/// Answers of the original programs for two keys, one of them not ASCII.
#[test]
fn known_answers() {
    let answers = [
        (OneAtATime, 829_528_631, 3_861_404_988),
        (Md5, 1_648_695_942, 1_961_759_625),
        (Crc15, 3_283, 1_363),
        (Crc32, 2_362_686_273, 89_341_429),
        (Crc16, 2_553_496_379, 1_204_326_223),
        (Fnv1Signed, 2_298_980_298, 1_118_847_769),
        (Fnv1, 2_298_980_298, 1_941_879_577),
        (Fnv1aSigned, 2_081_726_528, 3_698_680_717),
        (Fnv1a, 2_081_726_528, 3_446_113_165),
        (Fnv1Long, 1_029_315_018, 3_908_395_897),
        (Fnv1aLong, 3_815_053_984, 3_681_887_661),
        (Jenkins, 735_511_944, 3_733_692_043),
        (Murmur, 4_270_554_310, 3_379_028_816),
        (Murmur3, 342_994_738, 1_454_579_747),
        (Hsieh, 3_124_745_602, 4_194_408_560),
    ];
    for (hash, plain, utf8) in answers {
        assert_eq!(hash.hash(PLAIN), plain, "{hash:?} of the ASCII key");
        assert_eq!(
            hash.hash(UTF8.as_bytes()),
            utf8,
            "{hash:?} of the UTF-8 key"
        );
    }
}

#[test]
fn an_empty_key_is_hashed_too() {
    assert_eq!(OneAtATime.hash(b""), 0);
    assert_eq!(Crc32.hash(b""), 0);
    assert_eq!(Fnv1a.hash(b""), 2_166_136_261);
    assert_eq!(Fnv1aLong.hash(b""), 0x8422_2325);
    assert_eq!(Jenkins.hash(b""), 0xdead_beef_u32.wrapping_add(13));
    assert_eq!(Hsieh.hash(b""), 0);
    assert_eq!(Murmur3.hash(b""), 0);
}

#[test]
fn a_name_means_what_its_system_means() {
    let parse = |system, name| KeyHash::parse(system, name).ok();

    assert_eq!(parse(System::Libmemcached, "fnv1_32"), Some(Fnv1Signed));
    assert_eq!(parse(System::Libmc, "fnv1_32"), Some(Fnv1));
    assert_eq!(parse(System::Libmemcached, "crc"), Some(Crc15));
    assert_eq!(parse(System::Twemproxy, "crc32"), Some(Crc15));
    assert_eq!(parse(System::Twemproxy, "crc32a"), Some(Crc32));
    assert_eq!(parse(System::Libmc, "crc_32"), Some(Crc32));
    assert_eq!(parse(System::Libmemcached, "default"), Some(OneAtATime));
    assert_eq!(OneAtATime.name(System::Libmemcached), Some("one_at_a_time"));
    assert_eq!(Crc15.name(System::Libmc), None);
}

#[test]
fn an_unknown_name_is_answered_with_the_known_ones() {
    let refusal = KeyHash::parse(System::Libmc, "murmur\n").unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "unknown hash `murmur\\n`, expected one of libmc's: md5, fnv1_32, fnv1a_32, crc_32"
    );
}

#[test]
fn names_are_found_again() {
    for system in [System::Libmemcached, System::Libmc, System::Twemproxy] {
        for &(name, hash) in system.hashes() {
            assert_eq!(KeyHash::parse(system, name), Ok(hash));
            let own = hash.name(system).expect("a listed hash has a name");
            assert_eq!(KeyHash::parse(system, own), Ok(hash));
        }
    }
}

//! The core of replay over engines that say what the test wants, and expectations in every shape.

use std::cell::Cell;
use std::rc::Rc;

use perimeter_classifier::abi::SETTINGS;
use perimeter_classifier::verdict::Decision;

use super::*;
use crate::backend::nft::divergence::TAG_CUT;
use crate::ruleset::{Action, Rule, Service};
use crate::simulate::Model;
use crate::tables::Image;

const NO_RULE: Decision = Decision::Drop(DropReason::NoRule);

/// Decides by the first byte of a frame; is not handed empty ones.
struct Fake {
    name: &'static str,
    judged: Rc<Cell<u32>>,
}

impl Engine for Fake {
    fn name(&self) -> &'static str {
        self.name
    }

    fn judge(&mut self, frame: &[u8]) -> Result<Option<Opinion>, EngineError> {
        self.judged.set(self.judged.get() + 1);
        match frame.first() {
            None => Ok(None),
            Some(b'p') => Ok(Some(Decision::Pass(0).into())),
            Some(b'?') if self.name == "second" => Ok(Some(Decision::Pass(0).into())),
            Some(b'!') => Err(EngineError { engine: self.name, source: "out of order".into() }),
            Some(_) => Ok(Some(NO_RULE.into())),
        }
    }
}

/// A model with nothing in its tables: it drops everything.
fn model() -> Model {
    Model::from(Image { settings: [0; SETTINGS], words: vec![0; 4] })
}

fn fakes(names: &[&'static str]) -> impl Iterator<Item = Box<dyn Engine>> {
    names.iter().map(|&name| Box::new(Fake { name, judged: Rc::default() }) as Box<dyn Engine>)
}

fn engines(names: &[&'static str]) -> Engines {
    Engines::new(model(), fakes(names).collect())
}

fn capture(frames: &[&[u8]]) -> Vec<u8> {
    let mut file =
        [&0xa1b2_c3d4_u32.to_be_bytes()[..], &[0, 2, 0, 4], &[0; 8], &[0, 0, 0, 0, 0, 0, 0, 1]].concat();
    for frame in frames {
        let length = (frame.len() as u32).to_be_bytes();
        file.extend([&[0; 8], &length[..], &length, frame].concat());
    }
    file
}

/// One rule, "web".
fn ruleset() -> Ruleset {
    let rule = Rule {
        services: vec![Service::default()],
        ethertypes: Vec::new(),
        ..crate::samples::rule("web", Action::Allow, &[0])
    };
    Ruleset { rules: vec![rule], ..Ruleset::default() }
}

/// Every mismatch by frame number, the totals, and how it ended.
fn run(
    frames: &[&[u8]],
    names: &[&'static str],
    expected: Expected<'_>,
) -> (Vec<(u64, String)>, Totals, Result<usize, String>) {
    let (mut seen, mut totals) = (Vec::new(), Totals::default());
    let file = capture(frames);
    let mut capture = Capture::new(&file[..]).unwrap();
    let ruleset = ruleset();
    let result = replay(&mut capture, &mut engines(names), &ruleset, expected, &mut totals, |judged| {
        let number = judged.frame.number;
        if let Some(mismatch) = judged.mismatch {
            seen.push((number, mismatch.expected.map_or("nothing".into(), Expectation::to_string)));
        }
        if let Some(dissent) = judged.judgement.dissent {
            seen.push((number, format!("{} {}", dissent.engine, Words::new(dissent.decision, &ruleset))));
        }
        Ok(())
    });
    (seen, totals, result.map(<[_]>::len).map_err(|error| error.to_string()))
}

fn expectations(text: &str) -> Result<Expectations, String> {
    Expectations::read(text.as_bytes()).map_err(|error| error.to_string())
}

#[test]
fn totals_count_every_frame_once() {
    let (seen, totals, end) = run(&[b"p", b"p", b"d", b""], &["first"], None);
    assert_eq!((seen, end), (Vec::new(), Ok(0)));
    let mut reasons = [0; DropReason::ALL.len()];
    reasons[DropReason::NoRule as usize] = 1;
    reasons[DropReason::Truncated as usize] = 1;
    assert_eq!(
        totals,
        Totals { frames: 4, passed: 2, dropped: 2, reasons, by_model: 1, ..Totals::default() }
    );
    assert!(!totals.contradicted());
}

#[test]
fn without_other_engines_the_model_judges() {
    let (_, totals, _) = run(&[b"p"], &[], None);
    assert_eq!((totals.dropped, totals.by_model), (1, 0));
    assert_eq!(engines(&[]).names(), ["model"]);
    assert_eq!(engines(&["first", "second"]).names(), ["first", "second"]);
}

#[test]
fn a_dissent_names_the_frame_and_the_engine() {
    let (seen, totals, _) = run(&[b"p", b"?"], &["first", "second"], None);
    assert_eq!(seen, [(2, "second pass web".to_owned())]);
    assert!(totals.contradicted());
}

#[test]
fn an_engine_that_fails_ends_the_replay() {
    let (_, totals, end) = run(&[b"p", b"!", b"p"], &["first"], None);
    assert_eq!(end, Err("frame 2: engine first failed: out of order".into()));
    assert_eq!(totals.frames, 1);
}

#[test]
fn expectations_are_compared_as_far_as_they_say() {
    let text = r#"
        {"file":"a.pcap","frame":3,"verdict":"pass"}
        {"file":"a.pcap","frame":1,"verdict":"pass","rule":"web","reason":null}
        {"file":"a.pcap","frame":2,"verdict":"drop","rule":null,"reason":"martian"}
        {"file":"a.pcap","frame":9,"verdict":"drop"}
        {"file":"other.pcap","frame":1,"verdict":"drop"}
        {"summary":{"frames":9}}"#;
    let all = expectations(text).unwrap();
    let (seen, totals, end) = run(&[b"p", b"d", b"p", b"d"], &["first"], Some(all.of("x/a.pcap").unwrap()));
    assert_eq!(seen, [(2, "drop martian".to_owned()), (4, "nothing".to_owned())]);
    assert_eq!((totals.unexpected, totals.missing, end), (2, 1, Ok(1)));
    let (seen, ..) = run(&[b"p"], &["first"], Some(all.of("unknown.pcap").unwrap()));
    assert_eq!(seen, [(1, "nothing".to_owned())]);
}

#[test]
fn captures_go_by_their_spelling_then_by_their_name() {
    let line = |file: &str, verdict: &str| {
        format!("{{\"file\":\"{file}\",\"frame\":1,\"verdict\":\"{verdict}\"}}\n")
    };
    let all = expectations(&(line("x/a.pcap", "pass") + &line("y/a.pcap", "drop") + &line("b.pcap", "pass")))
        .unwrap();
    assert_eq!(all.of("y/a.pcap").unwrap()[0].1.verdict, "drop");
    assert_eq!(all.of("/somewhere/b.pcap").unwrap()[0].1.verdict, "pass");
    let error = all.of("a.pcap").unwrap_err().to_string();
    assert_eq!(error, "a.pcap may be x/a.pcap or y/a.pcap here: name the capture as one of them is written");
}

#[test]
fn lines_that_are_no_expectation_are_named() {
    let cases = [
        ("{\"frame\":1}", "line 1: it needs \"file\", \"frame\" and \"verdict\""),
        ("\n{", "line 2: EOF while parsing an object"),
        ("{\"file\":\"a\",\"frame\":0,\"verdict\":\"pass\"}", "line 1: frames count from 1"),
        ("{\"file\":\"a\",\"frame\":1,\"verdict\":\"ok\"}", "line 1: unknown verdict \"ok\": pass or drop"),
        (
            "{\"file\":\"a\",\"frame\":1,\"verdict\":\"drop\",\"reason\":\"rude\"}",
            "line 1: unknown drop reason \"rude\"",
        ),
        (
            "{\"file\":\"a\",\"frame\":1,\"verdict\":\"drop\"}\n{\"file\":\"a\",\"frame\":1,\"verdict\":\"drop\"}",
            "frame 1 of a is expected twice",
        ),
    ];
    for (text, message) in cases {
        assert_eq!(expectations(text), Err(message.to_owned()));
    }
}

/// Says that every frame is of a class that it drops; drops those that do not begin with `p`.
struct Declares;

impl Engine for Declares {
    fn name(&self) -> &'static str {
        "nft"
    }

    fn judge(&mut self, frame: &[u8]) -> Result<Option<Opinion>, EngineError> {
        let decision = if frame.first() == Some(&b'p') { Decision::Pass(0) } else { NO_RULE };
        Ok(Some(Opinion { decision, class: Some(&TAG_CUT) }))
    }
}

#[test]
fn a_declared_divergence_is_counted_and_no_dissent_unless_it_passes() {
    let passes = Fake { name: "second", judged: Rc::default() };
    let mut engines = Engines::new(model(), vec![Box::new(passes), Box::new(Declares)]);
    let judgement = engines.judge(b"?").unwrap();
    assert_eq!((judgement.decision, judgement.dissent), (Decision::Pass(0), None));
    let declared = judgement.declared.expect("it drops what the other passes");
    assert_eq!((declared.engine, declared.class.id, declared.decision), ("nft", "tag-cut", NO_RULE));
    // What others drop is no class of frames that may pass.
    assert!(engines.judge(b"d").unwrap().declared.is_none());
    let mut engines = Engines::new(model(), fakes(&["first"]).chain([Box::new(Declares) as _]).collect());
    assert_eq!(engines.judge(b"p").unwrap().dissent, None);
    let mut engines = Engines::new(model(), vec![Box::new(Declares)]);
    let judgement = engines.judge(b"p").unwrap();
    assert_eq!(judgement.dissent, Some(Dissent { engine: "nft", decision: Decision::Pass(0) }));
}

#[test]
fn alone_it_reports_its_own_decision_and_is_expected_to_differ() {
    let expected = expectations(r#"{"file":"a","frame":1,"verdict":"drop","reason":"truncated"}"#).unwrap();
    let file = capture(&[b"d"]);
    let mut engines = Engines::new(model(), vec![Box::new(Declares)]);
    let mut totals = Totals::default();
    let mut decisions = Vec::new();
    let mut file = Capture::new(&file[..]).unwrap();
    let expected = Some(expected.of("a").unwrap());
    replay(&mut file, &mut engines, &ruleset(), expected, &mut totals, |judged| {
        decisions.push(judged.judgement.decision);
        Ok(())
    })
    .unwrap();
    assert_eq!(decisions, [NO_RULE]);
    assert_eq!(totals.declared.get("tag-cut"), Some(&1));
    assert!(!totals.contradicted());
}

#[test]
fn a_record_is_the_line_of_the_contract() {
    let ruleset = ruleset();
    let words = |decision| Words::new(decision, &ruleset);
    let line = |record: &Record<'_>| serde_json::to_string(record).unwrap();
    let pass = Record::new("a.pcap", 1, words(Decision::Pass(0)));
    assert_eq!(line(&pass), r#"{"file":"a.pcap","frame":1,"verdict":"pass","rule":"web","reason":null}"#);
    let drop = Record::new("a.pcap", 2, words(NO_RULE)).with_mismatch(Some(Mismatch { expected: None }));
    let text =
        r#"{"file":"a.pcap","frame":2,"verdict":"drop","rule":null,"reason":"no_rule","expected":null}"#;
    assert_eq!(line(&drop), text);
    let both = Judgement {
        decision: NO_RULE,
        settled: NO_RULE,
        by_model: false,
        declared: Some(Declared { engine: "nft", class: &TAG_CUT, decision: NO_RULE }),
        dissent: Some(Dissent { engine: "xdp", decision: Decision::Denied(0) }),
    };
    let both = Record::new("a", 3, words(NO_RULE)).with_others(&both, &ruleset);
    let text = concat!(
        r#","declared":{"class":"tag-cut","engine":"nft","verdict":"drop","rule":null,"reason":"no_rule"},"#,
        r#""dissent":{"engine":"xdp","verdict":"drop","rule":"web","reason":"denied"}}"#
    );
    assert!(line(&both).ends_with(text));
}

//! Measures a policy check with no list, the default list and long lists, and the loading of long
//! lists.

use std::fs;
use std::hint::black_box;
use std::iter;
use std::net::IpAddr;
use std::time::Instant;

use criterion::{BatchSize, Criterion};
use eryx_http::Scheme;
use eryx_net_policy::{
    Host, HostName, HostPattern, HttpPolicy, HttpRequest, HttpRule, Policy, QueryRule,
};

const NETWORKS: u32 = 100_000;
const NAMES: u32 = 100_000;

fn main() {
    let texts = long_list();
    report_load(&texts);

    let mut criterion = Criterion::default().configure_from_args();
    checks(
        &mut criterion,
        "empty",
        &Policy::permissive_builder().build(),
    );
    checks(&mut criterion, "default", &Policy::default());
    checks(&mut criterion, "long", &load(&texts));
    criterion
        .benchmark_group("load")
        .sample_size(10)
        .bench_function("long", |b| {
            b.iter_batched(|| (), |()| load(&texts), BatchSize::PerIteration);
        });
    requests(&mut criterion);
    criterion.final_summary();
}

/// Measures one check of a request, by few and by many rules.
fn requests(criterion: &mut Criterion) {
    let host = Host::parse("api.example.com").expect("a host");
    let rule = |path: &str| -> HttpRule {
        let rule: HttpRule = format!("GET,HEAD api.example.com{path}")
            .parse()
            .expect("a rule");
        rule.with_query(QueryRule::new([("token", false)]).expect("a query rule"))
    };
    let policy = |rules| HttpPolicy::new(rules, vec![], vec![]).expect("a policy");
    let few = policy(vec![rule("/user"), rule("/repos/acme/*")]);
    let many = policy(
        (0..100)
            .map(|n| rule(&format!("/repos/*/{n}/**")))
            .collect(),
    );
    let target = "/repos/acme/site?page=2&per_page=100";
    let longest = "/a".repeat(32_000);
    let longest_query = format!("/repos/acme/site?{}", "a=b&".repeat(16_000));

    let mut group = criterion.benchmark_group("http_policy_check");
    for (name, policy, target) in [
        ("allowed by the second rule", &few, target),
        ("denied by 100 rules", &many, target),
        ("path of 64 kB, 100 rules", &many, &longest),
        ("query of 64 kB", &few, &longest_query),
    ] {
        let request = HttpRequest {
            scheme: Scheme::Https,
            host: &host,
            address: None,
            port: 443,
            method: "GET",
            target,
            upgrade: false,
        };
        group.bench_function(name, |b| b.iter(|| policy.check(black_box(&request))));
    }
    group.finish();
}

/// Measures one check of each kind, with the parsing of the host where it is a text.
fn checks(criterion: &mut Criterion, lists: &str, policy: &Policy) {
    let name: HostName = "www.example.com".parse().expect("a name");
    let addresses: [IpAddr; 3] = [
        "93.184.215.14".parse().expect("an address"),
        "151.101.1.6".parse().expect("an address"),
        "2606:2800:21f:cb07:6820:80da:af6b:8b2c"
            .parse()
            .expect("an address"),
    ];
    let deepest = deepest_name();
    let deepest_parsed: HostName = deepest.parse().expect("a name");

    let mut group = criterion.benchmark_group(format!("policy_check/{lists}"));
    group.bench_function("literal", |b| {
        b.iter(|| policy.check(black_box("93.184.215.14"), 443));
    });
    group.bench_function("name", |b| {
        b.iter(|| policy.check(black_box("www.example.com"), 443));
    });
    group.bench_function("name and three addresses", |b| {
        b.iter(|| policy.check_resolved(black_box(&name), &[], black_box(&addresses), 443));
    });
    group.bench_function("name of 126 labels", |b| {
        b.iter(|| policy.check(black_box(&deepest), 443));
    });
    group.bench_function("name of 126 labels and three addresses", |b| {
        b.iter(|| {
            policy.check_resolved(black_box(&deepest_parsed), &[], black_box(&addresses), 443)
        });
    });
    group.finish();
}

/// Loads the lists once in a fresh heap, and prints the time and the resident memory that this
/// took.
fn report_load(texts: &[String]) {
    let before = resident();
    let start = Instant::now();
    let policy = load(texts);
    let elapsed = start.elapsed();
    let after = resident();
    let memory = match (before, after) {
        (Some(before), Some(after)) => format!("{} MiB resident", (after - before) >> 20),
        _ => "resident memory unknown on this system".to_owned(),
    };
    println!(
        "{} entries, parsed and built: {} ms, {memory}",
        policy.rules().count(),
        elapsed.as_millis()
    );
}

fn load(texts: &[String]) -> Policy {
    let patterns = texts
        .iter()
        .map(|text| text.parse::<HostPattern>().expect("a pattern"));
    Policy::builder().block_hosts(patterns).build()
}

/// Returns networks of both families, names, and wildcards, in scattered order. No entry matches a
/// host of the checks, so that no search ends early.
fn long_list() -> Vec<String> {
    // A multiplication by an odd number visits every residue of 2^17 once.
    let scattered = |n: u32| n.wrapping_mul(40_503) % (1 << 17);
    let networks = (0..NETWORKS).map(|n| match (scattered(n), n % 4) {
        (at, 0) => format!("2a00:{:x}:{:x}::/48", at >> 8, at & 0xff),
        (at, _) => format!(
            "{}.{}.{}.0/24",
            24 + (at >> 15),
            (at >> 7) & 0xff,
            (at & 0x7f) * 2
        ),
    });
    let names = (0..NAMES).map(|n| match (scattered(n), n % 2) {
        (at, 0) => format!("host{at}.example{}.com", at % 1000),
        (at, _) => format!("*.host{at}.example{}.net", at % 1000),
    });
    // A name that shares all labels but the first with the checked name, so that the search is as
    // deep as possible.
    let deepest = iter::once(deepest_name()[2..].to_owned());
    networks.chain(names).chain(deepest).collect()
}

/// Returns a name with as many labels as a name can have.
fn deepest_name() -> String {
    vec!["a"; 126].join(".")
}

/// Returns the resident memory of this process, in bytes.
fn resident() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib << 10)
}

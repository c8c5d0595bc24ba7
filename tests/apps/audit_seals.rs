//! The seals over the audit log: nothing is skipped however writers and the sealer meet, and whoever changes a row with the
//! rights of the whole database is found out, in the database and in an exported file.

use std::path::PathBuf;

use reqwest::Method;
use serde_json::{Value, json};
use tokio_postgres::Client;

use crate::audit::key;
use crate::support::TestHub;

/// What verifying says, and whether it was content.
fn verified(hub: &TestHub, more: &[&str]) -> (bool, Value) {
    let arguments = [&["audit", "verify", "--json"], more].concat();
    let (content, said) = match hub.cli(&arguments, None) {
        Ok(said) => (true, said),
        Err(said) => {
            assert!(said.starts_with("exit status: 1{"), "{said}");
            (false, said["exit status: 1".len()..].to_owned())
        }
    };
    let line = said.lines().next().unwrap();
    (content, serde_json::from_str(line).unwrap())
}

/// The export of all or of one, in a file.
fn exported(hub: &TestHub, more: &[&str]) -> PathBuf {
    let file = hub.data_dir.join(format!("{}.jsonl", uuid::Uuid::new_v4()));
    let arguments = [&["audit", "export", "--out", file.to_str().unwrap()], more].concat();
    hub.cli(&arguments, None).unwrap();
    file
}

/// Verify a file with a database address that leads nowhere.
fn verified_file(hub: &TestHub, file: &std::path::Path, more: &[&str]) -> (bool, Value) {
    let file = file.to_str().unwrap();
    let arguments = [&["audit", "verify", "--json", "--file", file], more].concat();
    let nowhere = "postgresql://nobody@127.0.0.1:1/none";
    match crate::support::hub::cli(nowhere, &hub.data_dir, &arguments, None) {
        Ok(said) => (true, serde_json::from_str(&said).unwrap()),
        Err(said) => {
            let said = said.strip_prefix("exit status: 1").expect("exit code 1");
            (
                false,
                serde_json::from_str(said.lines().next().unwrap()).unwrap(),
            )
        }
    }
}

/// Seal until nothing waits. Transactions of other databases on the same server count too: they must end first.
pub async fn seal_all(hub: &TestHub) {
    for _ in 0..300 {
        hub.cli(&["audit", "seal"], None).unwrap();
        let (_, said) = verified(hub, &[]);
        if said["waiting"] == 0 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("rows wait for ever");
}

async fn texts(client: &Client, sql: &str) -> Vec<String> {
    let rows = client.query(sql, &[]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

/// Some rows of somebody, under two seals.
async fn sealed_log() -> (TestHub, crate::support::people::Person) {
    let hub = TestHub::start().await;
    hub.sign_up("founder").await;
    let ada = hub.sign_up_settled("ada").await;
    for round in 0..2 {
        for n in 0..3 {
            let name = format!("Person {round}{n}");
            ada.adds(&hub, "persons", json!({ "name": name })).await;
        }
        seal_all(&hub).await;
    }
    (hub, ada)
}

#[tokio::test]
async fn whoever_tampers_with_the_whole_database_in_hand_is_found_out() {
    let (hub, ada) = sealed_log().await;
    let me = ada.id.to_string();
    let (content, said) = verified(&hub, &[]);
    assert!(content, "{said}");
    assert_eq!(said["bad"], Value::Null);
    let whole = exported(&hub, &[]);
    assert!(verified_file(&hub, &whole, &[]).0);

    let root = hub.database.admin().await;
    let ids = texts(
        &root,
        &format!(
            "select id::text from audit_log where owner_id = '{me}' and resource_type = 'persons' order by tx, id"
        ),
    )
    .await;
    // Every trigger is off: this is what a superuser can do.
    root.batch_execute("set session_replication_role = replica")
        .await
        .unwrap();
    let kept = "create table if not exists hub.kept as select * from public.audit_log";
    root.batch_execute(kept).await.unwrap();
    let (third, fourth) = (&ids[2], &ids[3]);
    for (what, fault, row) in [
        (
            format!("update audit_log set outcome = 'denied' where id = '{third}'"),
            "changed",
            third.clone(),
        ),
        (
            format!("update audit_log set owner_id = null where id = '{third}'"),
            "changed",
            third.clone(),
        ),
        (
            format!("update audit_log set occurred_at = occurred_at - interval '1 microsecond' where id = '{fourth}'"),
            "changed",
            fourth.clone(),
        ),
        (
            format!("delete from audit_log where id = '{third}'"),
            "missing",
            third.clone(),
        ),
        (
            format!("delete from audit_log where owner_id = '{me}' and resource_type = 'persons'"),
            "missing",
            ids[0].clone(),
        ),
        (
            format!(
                "insert into audit_log (id, owner_id, actor_type, actor_id, action, resource_type, outcome, tx)
                 select '00000000-0000-4000-8000-000000000001', owner_id, actor_type, actor_id, action, resource_type, outcome, tx
                 from audit_log where id = '{third}'"
            ),
            "added",
            "00000000-0000-4000-8000-000000000001".to_owned(),
        ),
        (
            // Two rows change places in time.
            format!(
                "update audit_log a set tx = b.tx from audit_log b
                 where a.id in ('{third}', '{two}') and b.id in ('{third}', '{two}') and a.id <> b.id",
                two = ids[1]
            ),
            "reordered",
            third.clone(),
        ),
        (
            // Two rows change their contents.
            format!(
                "update audit_log a set resource_id = b.resource_id from audit_log b
                 where a.id in ('{third}', '{two}') and b.id in ('{third}', '{two}') and a.id <> b.id",
                two = ids[1]
            ),
            "changed",
            ids[1].clone(),
        ),
    ] {
        assert!(root.execute(&what, &[]).await.unwrap() > 0, "{what}");
        for more in [&["--owner", &me][..], &[]] {
            let (content, said) = verified(&hub, more);
            assert!(!content, "{what}");
            let bad = &said["bad"];
            // In the log of the whole hub a row without an owner is met before.
            if what.contains("owner_id = null") && more.is_empty() {
                assert_eq!(bad["row"], json!(row), "{what}: {bad}");
                continue;
            }
            assert_eq!((&bad["fault"], &bad["row"]), (&json!(fault), &json!(row)), "{what}: {bad}");
            assert_eq!(bad["owner_id"], json!(ada.id));
        }
        // An honest export of a log that was tampered with tells it without the database; what was put in stands in it as
        // a row that no seal covers.
        let (content, said) = verified_file(&hub, &exported(&hub, &["--owner", &me]), &[]);
        let waits = matches!(fault, "added");
        assert_eq!(content, waits, "{what}: {said}");
        if !waits && !what.contains("owner_id = null") {
            assert_eq!(
                (&said["bad"]["fault"], &said["bad"]["row"]),
                (&json!(fault), &json!(row)),
                "{what}: {said}"
            );
        }
        root.batch_execute(
            "delete from audit_log where id in (select id from hub.kept) or tx in (select tx from hub.kept);
             insert into audit_log select * from hub.kept",
        )
        .await
        .unwrap();
        let (content, said) = verified(&hub, &[]);
        assert!(content, "put back as it was: {what}: {said}");
    }

    // The seals themselves. The exports were told meanwhile, so the newest seal is over rows of the hub's own.
    seal_all(&hub).await;
    let kept = "drop table hub.kept; create table hub.kept as select * from public.audit_log;
        create table hub.kept_seals as select * from hub.audit_seals";
    root.batch_execute(kept).await.unwrap();
    let first = format!("(select min(number) from hub.audit_seals where owner_id = '{me}')");
    for (what, fault) in [
        (
            format!("update hub.audit_seals set hashes[1] = prev_hash where number = {first}"),
            "seal_changed",
        ),
        (
            format!("delete from hub.audit_seals where number = {first}"),
            "seal_missing",
        ),
        (
            // All of one owner, rows and seals: the chain over the whole hub misses them.
            format!(
                "with gone as (delete from audit_log where owner_id = '{me}')
                 delete from hub.audit_seals where owner_id = '{me}'"
            ),
            "seal_missing",
        ),
    ] {
        root.execute(&what, &[]).await.unwrap();
        let (content, said) = verified(&hub, &[]);
        assert!(!content, "{what}");
        assert_eq!(said["bad"]["fault"], fault, "{what}: {said}");
        root.batch_execute(
            "delete from hub.audit_seals; insert into hub.audit_seals overriding system value select * from hub.kept_seals;
             delete from audit_log where id in (select id from hub.kept); insert into audit_log select * from hub.kept",
        )
        .await
        .unwrap();
    }
    assert!(verified(&hub, &[]).0);
    // Who kept a hash finds out that the end was cut off, or that all was made anew.
    let head = said_head(&verified(&hub, &["--owner", &me]).1, &me);
    assert!(verified(&hub, &["--known", &head]).0);
    root.batch_execute(&format!(
        "delete from audit_log where id in (select unnest(ids) from hub.audit_seals where encode(hash, 'hex') = '{head}');
         delete from hub.audit_seals where encode(hash, 'hex') = '{head}'"
    ))
    .await
    .unwrap();
    assert!(!verified(&hub, &["--owner", &me, "--known", &head]).0);
}

fn said_head(report: &Value, owner: &str) -> String {
    report["heads"][owner].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_tampered_file_is_told_by_line() {
    let (hub, ada) = sealed_log().await;
    let me = ada.id.to_string();
    let file = exported(&hub, &["--owner", &me]);
    let text = std::fs::read_to_string(&file).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let rows: Vec<usize> = (0..lines.len())
        .filter(|n| lines[*n].starts_with("{\"id\""))
        .collect();
    let id = |n: usize| {
        let row: Value = serde_json::from_str(lines[rows[n]]).unwrap();
        row["id"].as_str().unwrap().to_owned()
    };
    assert!(verified_file(&hub, &file, &["--owner", &me]).0);
    let written = |lines: &[&str]| {
        let tampered = hub.data_dir.join("tampered.jsonl");
        std::fs::write(&tampered, lines.join("\n")).unwrap();
        let (content, said) = verified_file(&hub, &tampered, &[]);
        assert!(!content, "{said}");
        said["bad"].clone()
    };

    let mut changed = lines.clone();
    let other = changed[rows[2]].replace("allowed", "denied");
    changed[rows[2]] = &other;
    let bad = written(&changed);
    assert_eq!(
        (&bad["fault"], &bad["row"]),
        (&json!("changed"), &json!(id(2)))
    );
    assert_eq!(bad["line"], rows[2] + 1);

    let mut missing = lines.clone();
    missing.remove(rows[1]);
    assert_eq!(written(&missing)["row"], json!(id(1)));

    let mut added = lines.clone();
    let new = "00000000-0000-4000-8000-000000000002";
    let other = added[rows[1]].replace(&id(1), new);
    added.insert(rows[1], &other);
    let bad = written(&added);
    assert_eq!((&bad["fault"], &bad["row"]), (&json!("added"), &json!(new)));

    let mut swapped = lines.clone();
    swapped.swap(rows[0], rows[1]);
    let bad = written(&swapped);
    assert_eq!(
        (&bad["fault"], &bad["row"]),
        (&json!("reordered"), &json!(id(1)))
    );

    let seal = (0..lines.len())
        .find(|n| lines[*n].starts_with("{\"seal\""))
        .unwrap();
    let mut without = lines.clone();
    without.remove(seal);
    assert_eq!(written(&without)["fault"], "seal_missing");
    let mut rubbish = lines.clone();
    rubbish.insert(1, "{\"hello\": ");
    assert_eq!(written(&rubbish)["fault"], "unreadable");

    // Anybody can compute it again with common tools, as docs/AUDIT.md says.
    let sealed: Value = serde_json::from_str(lines[seal]).unwrap();
    let hash = sha256sum(lines[rows[0]].as_bytes());
    assert_eq!(sealed["rows"][0], json!([id(0), hash]));
    let mut text = format!(
        "made-open audit seal 1\n{} {me}\n{} {}\n{}\n{}",
        sealed["seal"],
        sealed["sealed_at"].as_str().unwrap(),
        sealed["upto"].as_str().unwrap(),
        sealed["prev_hash"].as_str().unwrap(),
        sealed["before_hash"].as_str().unwrap()
    );
    for row in sealed["rows"].as_array().unwrap() {
        text += &format!(
            "\n{} {}",
            row[0].as_str().unwrap(),
            row[1].as_str().unwrap()
        );
    }
    assert_eq!(sealed["hash"], sha256sum(text.as_bytes()));
}

fn sha256sum(bytes: &[u8]) -> String {
    use std::io::Write;
    use std::process::{Command, Stdio};
    let mut sum = Command::new("sha256sum")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    sum.stdin.take().unwrap().write_all(bytes).unwrap();
    let said = sum.wait_with_output().unwrap().stdout;
    String::from_utf8(said).unwrap()[..64].to_owned()
}

#[tokio::test]
async fn writers_and_the_sealer_at_once_lose_no_row() {
    let hub = TestHub::start().await;
    hub.sign_up("founder").await;
    let ada = hub.sign_up("ada").await;
    let bruno = hub.sign_up("bruno").await;
    let sealing = async {
        let sealer = hub.database.admin().await;
        let other = hub.database.admin().await;
        let mut rounds = 0;
        for _ in 0..60 {
            // Small rounds, and two sealers that want to at once.
            let (one, two) = tokio::join!(
                sealer.query("select hub.seal_audit(7)", &[]),
                other.query("select hub.seal_audit(7)", &[])
            );
            let sealed: i64 = one.unwrap()[0].get(0);
            let more: i64 = two.unwrap()[0].get(0);
            rounds += i64::from(sealed > 0) + i64::from(more > 0);
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        rounds
    };
    let writing = futures_util::future::join_all((0..8).map(|n| {
        let (hub, person) = (&hub, if n % 2 == 0 { &ada } else { &bruno });
        async move {
            for m in 0..25 {
                let rows: Vec<Value> = (0..=m % 4).map(|_| json!({ "name": "x" })).collect();
                let done = person
                    .ask(hub, Method::POST, "/rest/v1/persons")
                    .json(&rows)
                    .send()
                    .await
                    .unwrap();
                assert!(done.status().is_success());
            }
        }
    }));
    let (rounds, _) = tokio::join!(sealing, writing);
    assert!(rounds > 0, "sealed while they wrote");
    seal_all(&hub).await;

    let (content, said) = verified(&hub, &[]);
    assert!(content, "{said}");
    assert_eq!(said["waiting"], 0);
    let root = hub.database.admin().await;
    let counts = texts(
        &root,
        "select (select count(*) from audit_log) || ' ' || (select count(*) from hub.audit_seals s, unnest(s.ids) id) || ' ' ||
            (select count(distinct id) from hub.audit_seals s, unnest(s.ids) id) || ' ' ||
            (select count(*) from hub.journal where kind = 'persons') || ' ' ||
            (select count(*) from audit_log where resource_type = 'persons')",
    )
    .await;
    let counts: Vec<&str> = counts[0].split(' ').collect();
    assert_eq!(counts[0], counts[1], "all are sealed");
    assert_eq!(counts[1], counts[2], "and none twice");
    assert_eq!(counts[3], counts[4], "one for each change");
    let file = exported(&hub, &[]);
    let (content, said) = verified_file(&hub, &file, &[]);
    assert!(content, "{said}");
}

#[tokio::test]
async fn what_commits_late_is_sealed_later_and_not_skipped() {
    let hub = TestHub::start().await;
    hub.sign_up("founder").await;
    let ada = hub.sign_up("ada").await;
    seal_all(&hub).await;
    let late = hub.database.admin().await;
    late.batch_execute(&format!(
        "begin; insert into persons (owner_id, name) values ('{}', 'Late')",
        ada.id
    ))
    .await
    .unwrap();
    let early = ada.adds(&hub, "persons", json!({ "name": "Early" })).await;
    hub.cli(&["audit", "seal"], None).unwrap();
    let (content, said) = verified(&hub, &["--owner", &ada.id.to_string()]);
    assert!(content, "{said}");
    assert_eq!(
        said["waiting"], 1,
        "what began after an open transaction waits with it: {said}"
    );

    late.batch_execute("commit").await.unwrap();
    seal_all(&hub).await;
    let (content, said) = verified(&hub, &["--owner", &ada.id.to_string()]);
    assert!(content, "{said}");
    assert_eq!(said["waiting"], 0, "{said}");
    let root = hub.database.admin().await;
    let order = texts(
        &root,
        &format!(
            "select (a.resource_id = '{}')::text from hub.audit_seals s, unnest(s.ids) with ordinality r (id, n)
             join audit_log a on a.id = r.id where a.resource_type = 'persons' order by s.number, r.n",
            early["id"].as_str().unwrap()
        ),
    )
    .await;
    assert_eq!(order, ["false", "true"], "in the order in which they began");
}

#[tokio::test]
async fn a_dump_restored_where_transactions_count_from_below_is_sealed_on() {
    let hub = TestHub::start().await;
    hub.sign_up("founder").await;
    let ada = hub.sign_up("ada").await;
    // A server that has counted further: its sealer sees a higher horizon.
    let root = hub.database.admin().await;
    let real = texts(
        &root,
        "select pg_get_functiondef('hub.seal_audit(integer)'::regprocedure)",
    )
    .await
    .remove(0);
    let elsewhere = real.replace(
        "horizon := pg_snapshot_xmin(pg_current_snapshot())",
        "horizon := '4000000000'::xid8",
    );
    assert_ne!(real, elsewhere);
    root.batch_execute(&elsewhere).await.unwrap();
    hub.cli(&["audit", "seal"], None).unwrap();
    root.batch_execute(&real).await.unwrap();

    for round in 0..3 {
        ada.adds(&hub, "persons", json!({ "name": "After the move" }))
            .await;
        let (content, said) = verified(&hub, &[]);
        assert!(content, "{round}: not yet sealed: {said}");
        seal_all(&hub).await;
        let (content, said) = verified(&hub, &[]);
        assert!(content, "{round}: {said}");
        assert_eq!(said["waiting"], 0, "{round}: {said}");
    }
    let counts = texts(
        &root,
        "select (select count(*) from audit_log) || ' ' || (select count(*) from hub.audit_seals s, unnest(s.ids) id)",
    )
    .await;
    let (all, sealed) = counts[0].split_once(' ').unwrap();
    assert_eq!(all, sealed, "each once");
}

#[tokio::test]
async fn an_owner_takes_his_log_along_through_the_door() {
    let (hub, ada) = sealed_log().await;
    ada.adds(&hub, "persons", json!({ "name": "Not yet sealed" }))
        .await;
    let call = async |name: &str, input: Value| -> Value {
        let answer = ada
            .ask(&hub, Method::POST, &format!("/rest/v1/rpc/{name}"))
            .json(&input)
            .send()
            .await
            .unwrap();
        let status = answer.status();
        let body: Value = answer.json().await.unwrap();
        assert!(status.is_success(), "{name}: {status} {body}");
        body
    };
    let page = call("audit_log_export", json!({})).await;
    assert_eq!(page["next"], Value::Null);
    let lines: Vec<&str> = page["lines"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| line.as_str().unwrap())
        .collect();
    let others = key(&hub, "unrelated");
    assert!(!others.is_empty());
    let me = ada.id.to_string();
    assert!(lines.iter().all(|line| line.contains(&me)));
    let file = hub.data_dir.join("mine.jsonl");
    std::fs::write(&file, lines.join("\n")).unwrap();
    let (content, said) = verified_file(&hub, &file, &[]);
    assert!(content, "{said}");
    assert_eq!(said["seals"], 2);
    assert_eq!(
        said["waiting"], 2,
        "the last row, and that it was exported: {said}"
    );

    let seals = call("audit_log_seals", json!({})).await;
    let heads: Vec<&Value> = seals
        .as_array()
        .unwrap()
        .iter()
        .map(|s| &s["hash"])
        .collect();
    assert_eq!(heads.len(), 2);
    assert_eq!(json!(heads[1]), said["heads"][&me]);
    let after = seals[0]["number"].clone();
    let rest = call("audit_log_seals", json!({ "after": after })).await;
    assert_eq!(rest.as_array().unwrap().len(), 1);
    let report = call("audit_log_verify", json!({})).await;
    assert_eq!(report["bad"], Value::Null);
    assert_eq!(report["seals"], 2);

    let exports = ada
        .reads(
            &hub,
            "/rest/v1/audit_log?action=eq.read&resource_type=eq.audit_log",
        )
        .await;
    assert_eq!(exports[0]["door"], "rpc", "an export is told: {exports}");
    assert_eq!(exports[0]["actor_id"], json!(me));
    for name in ["audit_log_export", "audit_log_seals", "audit_log_verify"] {
        let refused = hub.get(&format!("/rest/v1/rpc/{name}")).await;
        assert_eq!(refused.status(), 401, "{name}");
    }
}

#[tokio::test]
async fn the_hub_seals_by_itself() {
    let hub = TestHub::start().await;
    let ada = hub.sign_up("ada").await;
    ada.adds(&hub, "persons", json!({ "name": "Grace" })).await;
    let root = hub.database.admin().await;
    let mut due = Vec::new();
    for _ in 0..100 {
        due = texts(
            &root,
            "select schedule from hub.cron_due where name = 'seal_audit'",
        )
        .await;
        if !due.is_empty() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert_eq!(due, ["*/5 * * * *"]);
    root.batch_execute("update hub.cron_due set due_at = now() where name = 'seal_audit'")
        .await
        .unwrap();
    // Other databases of this server may hold the seals up for a while, so it is asked more than once.
    for n in 0..150 {
        let sealed = texts(
            &root,
            &format!(
                "select r.id::text from hub.audit_seals s, unnest(s.ids) r (id) join audit_log a on a.id = r.id
                 where s.owner_id = '{}' and a.resource_type = 'persons'",
                ada.id
            ),
        )
        .await;
        if !sealed.is_empty() {
            assert!(verified(&hub, &[]).0);
            return;
        }
        if n % 20 == 19 {
            root.batch_execute("update hub.cron_due set due_at = now() where name = 'seal_audit'")
                .await
                .unwrap();
        }
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    panic!("nobody sealed");
}

//! Organizations, roles and licences as their people meet them: what a developer, an admin and a user of two tenants may.

use reqwest::Method;
use serde_json::{Value, json};

use crate::administration::becomes;
use crate::support::TestHub;
use crate::support::people::Person;

struct Cast {
    hub: TestHub,
    /// The developer, of the first tenant.
    dev: Person,
    /// Admin and user of one tenant.
    chief: Person,
    ada: Person,
    here: String,
    /// Admin and user of another one.
    other_chief: Person,
    bob: Person,
    there: String,
}

async fn cast() -> Cast {
    let hub = TestHub::start().await;
    let dev = hub.sign_up("dev").await;
    let chief = hub.sign_up("chief").await;
    let ada = hub.sign_up("ada").await;
    let other_chief = hub.sign_up("otherchief").await;
    let bob = hub.sign_up("bob").await;
    let make = |name: &str, admin: &str| -> String {
        let said = hub
            .cli(&["tenant", "add", name, "--admin", admin, "--json"], None)
            .unwrap();
        let said: Value = serde_json::from_str(&said).unwrap();
        said["id"].as_str().unwrap().to_owned()
    };
    let here = make("Here", "chief@example.org");
    let there = make("There", "otherchief@example.org");
    for (person, tenant) in [(&ada, &here), (&bob, &there)] {
        let moved = change(
            &hub,
            &dev,
            &format!("user_profile?user_id=eq.{}", person.id),
            json!({ "organization_id": tenant }),
        )
        .await;
        assert_eq!(
            moved.1.as_array().map(Vec::len),
            Some(1),
            "OH-11: {moved:?}"
        );
    }
    Cast {
        hub,
        dev,
        chief,
        ada,
        here,
        other_chief,
        bob,
        there,
    }
}

async fn send(
    hub: &TestHub,
    person: &Person,
    method: Method,
    path: &str,
    body: Option<Value>,
) -> (u16, Value) {
    let mut request = person
        .ask(hub, method, &format!("/rest/v1/{path}"))
        .header("Prefer", "return=representation");
    if let Some(body) = body {
        request = request.json(&body);
    }
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    (status, answer.json().await.unwrap_or(Value::Null))
}

async fn change(hub: &TestHub, person: &Person, path: &str, body: Value) -> (u16, Value) {
    send(hub, person, Method::PATCH, path, Some(body)).await
}

async fn add(hub: &TestHub, person: &Person, table: &str, row: Value) -> (u16, Value) {
    send(hub, person, Method::POST, table, Some(row)).await
}

fn touched(answer: &(u16, Value)) -> usize {
    answer.1.as_array().map_or(0, Vec::len)
}

#[tokio::test]
async fn oh_10_to_19_roles_reach_as_far_as_their_tenant() {
    let c = cast().await;
    let hub = &c.hub;
    let emails = async |person: &Person| -> Vec<String> {
        let rows = person
            .reads(hub, "/rest/v1/users?select=email&order=email")
            .await;
        rows.as_array()
            .unwrap()
            .iter()
            .map(|row| row["email"].as_str().unwrap().replace("@example.org", ""))
            .collect()
    };
    // OH-11, OH-12, OH-13: everybody, those of one's tenant, oneself.
    assert_eq!(
        emails(&c.dev).await,
        ["ada", "bob", "chief", "dev", "otherchief"]
    );
    assert_eq!(emails(&c.chief).await, ["ada", "chief"]);
    assert_eq!(emails(&c.ada).await, ["ada"]);

    // OH-12: an admin manages his organization, and only it.
    assert_eq!(
        touched(
            &change(
                hub,
                &c.chief,
                &format!("tenants?id=eq.{}", c.here),
                json!({ "name": "Right here" })
            )
            .await
        ),
        1
    );
    for (person, tenant) in [(&c.chief, &c.there), (&c.ada, &c.here), (&c.bob, &c.here)] {
        let done = change(
            hub,
            person,
            &format!("tenants?id=eq.{tenant}"),
            json!({ "name": "Taken" }),
        )
        .await;
        assert_eq!(touched(&done), 0, "{} {done:?}", person.name);
        assert!(
            add(hub, person, "tenants", json!({ "name": "Mine" }))
                .await
                .0
                >= 400
        );
    }
    let profile = |person: &Person| format!("user_profile?user_id=eq.{}", person.id);
    assert_eq!(
        touched(&change(hub, &c.chief, &profile(&c.ada), json!({ "role": "admin" })).await),
        1
    );
    assert_eq!(
        touched(&change(hub, &c.chief, &profile(&c.ada), json!({ "role": "user" })).await),
        1
    );
    for (who, whose, body) in [
        (&c.chief, &c.ada, json!({ "role": "developer" })),
        (&c.chief, &c.chief, json!({ "role": "developer" })),
        (&c.chief, &c.bob, json!({ "role": "user" })),
        (&c.chief, &c.ada, json!({ "organization_id": c.there })),
        (&c.ada, &c.ada, json!({ "role": "admin" })),
        (&c.ada, &c.ada, json!({ "organization_id": c.there })),
        (&c.bob, &c.ada, json!({ "role": "user" })),
    ] {
        let done = change(hub, who, &profile(whose), body.clone()).await;
        assert_eq!(
            touched(&done),
            0,
            "{} → {} {body}: {done:?}",
            who.name,
            whose.name
        );
    }
    // OH-2 through the door: nobody is drawn into a second tenant.
    for person in [&c.chief, &c.dev] {
        let second = add(
            hub,
            person,
            "user_profile",
            json!({ "user_id": c.bob.id, "organization_id": c.here, "role": "user" }),
        )
        .await;
        assert!(
            second.0 == 409 || second.0 == 403,
            "{} {second:?}",
            person.name
        );
    }

    // OH-24 to OH-26: customers are the tenant's; another one sees whom it is linked to.
    let customer = add(
        hub,
        &c.chief,
        "customers",
        json!({ "name": "Linden Ltd", "first_name": "Lin", "last_name": "Den" }),
    )
    .await;
    assert_eq!(customer.0, 201, "{customer:?}");
    let id = customer.1[0]["id"].as_str().unwrap().to_owned();
    for (email, primary) in [("a@linden.example", true), ("b@linden.example", false)] {
        assert_eq!(
            add(
                hub,
                &c.chief,
                "customer_email",
                json!({ "customer_id": id, "email": email, "is_primary": primary })
            )
            .await
            .0,
            201
        );
    }
    let second = add(
        hub,
        &c.chief,
        "customer_email",
        json!({ "customer_id": id, "email": "c@linden.example", "is_primary": true }),
    )
    .await;
    assert_eq!((second.0, &second.1["code"]), (409, &json!("23505")));
    let phone =
        json!({ "customer_id": id, "phone": "+49 30 1", "type": "work", "is_primary": true });
    assert_eq!(add(hub, &c.chief, "customer_phone", phone).await.0, 201);
    let path = format!("/rest/v1/customers?id=eq.{id}&select=name,customer_email(email)");
    let seen = c.ada.reads(hub, &path).await;
    assert_eq!(
        seen[0]["customer_email"].as_array().map(Vec::len),
        Some(2),
        "{seen}"
    );
    for stranger in [&c.bob, &c.other_chief] {
        assert_eq!(stranger.reads(hub, &path).await, json!([]));
        let stolen = change(
            hub,
            stranger,
            &format!("customers?id=eq.{id}"),
            json!({ "name": "Mine" }),
        )
        .await;
        assert_eq!(touched(&stolen), 0);
        // What one cannot see is answered like what is not there.
        let linked = add(
            hub,
            stranger,
            "customer_email",
            json!({ "customer_id": id, "email": "x@y.example" }),
        )
        .await;
        let invented = json!({ "customer_id": "01890000-0000-7000-8000-000000000000", "email": "x@y.example" });
        assert_eq!(
            linked.0,
            add(hub, stranger, "customer_email", invented).await.0
        );
        assert!(linked.0 >= 400);
    }
    let shared = add(
        hub,
        &c.dev,
        "customer_organization",
        json!({ "tenant_id": c.here, "customer_id": id, "organization_id": c.there }),
    )
    .await;
    assert_eq!(shared.0, 201, "{shared:?}");
    assert_eq!(c.bob.reads(hub, &path).await[0]["name"], "Linden Ltd");
    assert_eq!(
        touched(
            &change(
                hub,
                &c.other_chief,
                &format!("customers?id=eq.{id}"),
                json!({ "name": "Mine" })
            )
            .await
        ),
        0
    );

    // OH-20: conversations that came for a user are his, his admin's and the developer's.
    let talk = add(
        hub,
        &c.ada,
        "conversations",
        json!({ "title": "About the hedge", "user_id": c.ada.id }),
    )
    .await;
    assert_eq!(talk.0, 201, "{talk:?}");
    let path = format!("conversations?id=eq.{}", talk.1[0]["id"].as_str().unwrap());
    for (person, sees) in [
        (&c.ada, 1),
        (&c.chief, 1),
        (&c.dev, 1),
        (&c.bob, 0),
        (&c.other_chief, 0),
    ] {
        let rows = person.reads(hub, &format!("/rest/v1/{path}")).await;
        assert_eq!(rows.as_array().map(Vec::len), Some(sees), "{}", person.name);
        let done = change(hub, person, &path, json!({ "subject": person.name })).await;
        assert_eq!(touched(&done), sees, "{}: {done:?}", person.name);
    }
    let mine = add(
        hub,
        &c.ada,
        "conversations",
        json!({ "title": "Only mine" }),
    )
    .await;
    let path = format!(
        "/rest/v1/conversations?id=eq.{}",
        mine.1[0]["id"].as_str().unwrap()
    );
    for person in [&c.chief, &c.dev] {
        assert_eq!(
            person.reads(hub, &path).await,
            json!([]),
            "{} reads no member's mail",
            person.name
        );
    }
}

async fn usable(hub: &TestHub, person: &Person) -> Vec<String> {
    let rows = person.reads(hub, "/rest/v1/rpc/org_modules_usable").await;
    rows.as_array()
        .unwrap()
        .iter()
        .map(|row| row["module_name"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn oh_21_to_23_a_module_is_usable_under_a_licence_that_is_not_over() {
    let c = cast().await;
    let hub = &c.hub;
    let admin = hub.database.admin().await;
    let function = json!({ "name": "greet", "code": "return 1" });
    // Without a module of that name nobody needs a licence for it.
    let written = add(hub, &c.ada, "functions", function.clone()).await;
    assert_eq!(written.0, 201, "{written:?}");
    let mine = format!("functions?id=eq.{}", written.1[0]["id"].as_str().unwrap());

    let module = add(
        hub,
        &c.chief,
        "org_modules",
        json!({ "module_name": "functions" }),
    )
    .await;
    assert_eq!(module.0, 201, "{module:?}");
    let licence = add(hub, &c.chief, "licenses", json!({})).await;
    assert_eq!(licence.0, 201, "{licence:?}");
    assert!(licence.1[0]["license_key"].is_string());
    let (module, licence) = (module.1[0]["id"].clone(), licence.1[0]["id"].clone());
    for (person, table, row) in [
        (&c.ada, "licenses", json!({})),
        (&c.ada, "org_modules", json!({ "module_name": "mine" })),
        (
            &c.ada,
            "license_modules",
            json!({ "license_id": licence, "module_id": module }),
        ),
        (
            &c.other_chief,
            "license_modules",
            json!({ "license_id": licence, "module_id": module }),
        ),
        (
            &c.other_chief,
            "licenses",
            json!({ "organization_id": c.here }),
        ),
    ] {
        let done = add(hub, person, table, row.clone()).await;
        assert!(done.0 >= 400, "{} {table} {row}: {done:?}", person.name);
    }

    // Provided, but no licence includes it yet: old ones can be read and removed, nothing is written.
    assert!(usable(hub, &c.ada).await.is_empty());
    let (status, told) = add(hub, &c.ada, "functions", function.clone()).await;
    assert_eq!((status, told["code"].as_str()), (403, Some("42501")));
    assert!(
        told["message"].as_str().unwrap().contains("licence"),
        "{told}"
    );
    assert!(
        change(hub, &c.ada, &mine, json!({ "code": "return 2" }))
            .await
            .0
            >= 400
    );
    assert_eq!(
        c.ada
            .reads(hub, &format!("/rest/v1/{mine}"))
            .await
            .as_array()
            .map(Vec::len),
        Some(1)
    );

    let included = add(
        hub,
        &c.chief,
        "license_modules",
        json!({ "license_id": licence, "module_id": module }),
    )
    .await;
    assert_eq!(included.0, 201, "{included:?}");
    assert_eq!(
        usable(hub, &c.ada).await,
        ["functions"],
        "no expiration: for ever"
    );
    assert_eq!(
        touched(&change(hub, &c.ada, &mine, json!({ "code": "return 2" })).await),
        1
    );
    // Not for another organization, whose own module has no licence.
    assert!(usable(hub, &c.bob).await.is_empty());
    add(
        hub,
        &c.other_chief,
        "org_modules",
        json!({ "module_name": "functions" }),
    )
    .await;
    assert_eq!(add(hub, &c.bob, "functions", function.clone()).await.0, 403);

    // Over by the database's clock, from the very moment.
    let path = format!("licenses?id=eq.{}", licence.as_str().unwrap());
    let until = |seconds: i64| json!({ "expiration_date": made_open::base::clock::now() + chrono::Duration::seconds(seconds) });
    assert_eq!(touched(&change(hub, &c.chief, &path, until(3600)).await), 1);
    assert_eq!(usable(hub, &c.ada).await, ["functions"]);
    assert_eq!(touched(&change(hub, &c.chief, &path, until(-1)).await), 1);
    assert!(usable(hub, &c.ada).await.is_empty());
    assert_eq!(add(hub, &c.ada, "functions", function.clone()).await.0, 403);
    assert_eq!(
        send(hub, &c.ada, Method::DELETE, &mine, None).await.0,
        200,
        "one's own can always be removed"
    );

    // Of two licences the better one counts.
    let second = add(hub, &c.chief, "licenses", until(7200)).await.1[0]["id"].clone();
    add(
        hub,
        &c.chief,
        "license_modules",
        json!({ "license_id": second, "module_id": module }),
    )
    .await;
    assert_eq!(usable(hub, &c.ada).await, ["functions"]);
    assert_eq!(add(hub, &c.ada, "functions", function.clone()).await.0, 201);
    let asked: bool = admin
        .query_one("select hub.may_use_module('functions')", &[])
        .await
        .unwrap()
        .get(0);
    assert!(!asked, "nobody belongs to no tenant");
    let anonymous = hub.get("/rest/v1/rpc/org_modules_usable").await;
    assert!(
        anonymous.status() == 401 || anonymous.status() == 403,
        "{}",
        anonymous.status()
    );
    becomes(hub, &c.ada, "user").await;
}

//! What can be told of a type by its name.

/// The type to compare with: without a length or precision, which would cut the value.
pub fn base_type(sql_type: &str) -> String {
    let (name, array) = match sql_type.strip_suffix("[]") {
        Some(name) => (name, "[]"),
        None => (sql_type, ""),
    };
    let bare = match (name.starts_with('"'), name.split_once('(')) {
        (false, Some((before, rest))) => {
            let after = rest.split_once(')').map_or("", |(_, after)| after);
            format!("{before}{after}")
        }
        _ => name.to_owned(),
    };
    let bare = match bare.as_str() {
        "character" => "bpchar",
        "bit" => "bit varying",
        other => other,
    };
    format!("{bare}{array}")
}

/// Whether it is JSON, so that arrows need no conversion.
pub fn is_jsonish(sql_type: &str) -> bool {
    matches!(sql_type, "json" | "jsonb")
}

/// Whether `like` works on it as it is.
pub fn is_textual(sql_type: &str) -> bool {
    matches!(
        base_type(sql_type).as_str(),
        "text" | "character varying" | "bpchar" | "name" | "citext"
    )
}

/// Whether its text can only be a number.
pub fn is_numeric(sql_type: &str) -> bool {
    matches!(
        base_type(sql_type).as_str(),
        "smallint" | "integer" | "bigint" | "numeric" | "real" | "double precision"
    )
}

/// The type names that a client may cast to.
pub fn castable(name: &str) -> Option<&'static str> {
    const TYPES: [&str; 45] = [
        "text",
        "varchar",
        "character varying",
        "char",
        "bpchar",
        "name",
        "citext",
        "int",
        "int2",
        "int4",
        "int8",
        "smallint",
        "integer",
        "bigint",
        "numeric",
        "decimal",
        "real",
        "float",
        "float4",
        "float8",
        "double precision",
        "bool",
        "boolean",
        "date",
        "time",
        "timetz",
        "timestamp",
        "timestamptz",
        "time without time zone",
        "time with time zone",
        "timestamp without time zone",
        "timestamp with time zone",
        "interval",
        "json",
        "jsonb",
        "uuid",
        "bytea",
        "inet",
        "cidr",
        "macaddr",
        "money",
        "xml",
        "tsvector",
        "tsquery",
        "oid",
    ];
    let lower = name.to_ascii_lowercase();
    TYPES.into_iter().find(|known| *known == lower)
}

#[cfg(test)]
mod tests {
    #[test]
    fn lengths_do_not_cut_what_is_compared() {
        for (from, to) in [
            ("uuid", "uuid"),
            ("character varying(10)", "character varying"),
            ("character(3)", "bpchar"),
            ("numeric(12,2)[]", "numeric[]"),
            ("timestamp(3) with time zone", "timestamp with time zone"),
            ("\"odd(type\"", "\"odd(type\""),
        ] {
            assert_eq!(super::base_type(from), to);
        }
    }
}

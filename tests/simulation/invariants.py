"""What must always hold (domain.md §9), each as a query over the whole books that finds what breaks it."""

from licet.postgres.books import Books

BROKEN: dict[str, str] = {
    "consumed of a range = activations in it": """
        SELECT r.product_id, r.first_number, r.consumed, count(a.number)
        FROM ranges r
        LEFT JOIN activations a ON a.product_id = r.product_id
            AND a.number >= r.first_number AND a.number < r.first_number + r.quantity
        GROUP BY r.product_id, r.first_number, r.consumed
        HAVING count(a.number) <> r.consumed""",
    "a code's number is inside its product's ranges, and consumed there": """
        SELECT a.product_id, a.number FROM activations a
        WHERE NOT EXISTS (SELECT FROM ranges r WHERE r.product_id = a.product_id
                          AND a.number >= r.first_number AND a.number < r.first_number + r.consumed)""",
    "a product's codes are numbered 1, 2, 3 …": """
        SELECT r.product_id, r.first_number
        FROM (SELECT product_id, first_number,
                     1 + sum(quantity) OVER (PARTITION BY product_id ORDER BY first_number) - quantity AS expected
              FROM ranges) r
        WHERE r.first_number <> r.expected""",
    "available is never below zero": """
        SELECT product_id, first_number FROM ranges WHERE consumed NOT BETWEEN 0 AND quantity""",
    "a code is consumed once": "SELECT product_id, number FROM activations GROUP BY 1, 2 HAVING count(*) > 1",
    "a device's codes are its spans: 1, 2, 3 …": """
        SELECT a.device_id, a.ordinal
        FROM (SELECT device_id, ordinal,
                     row_number() OVER (PARTITION BY device_id ORDER BY ordinal, starts_at) AS expected
              FROM activations) a
        WHERE a.ordinal <> a.expected""",
    "spans of a device never overlap": """
        SELECT a.device_id, a.starts_at
        FROM (SELECT device_id, starts_at,
                     lag(ends_at) OVER (PARTITION BY device_id ORDER BY starts_at, ordinal) AS before
              FROM activations) a
        WHERE a.starts_at < a.before""",
    "a device consumes codes of its own product": """
        SELECT a.device_id FROM activations a JOIN devices d ON d.id = a.device_id
        WHERE d.product_id <> a.product_id""",
    "a code is consumed before its use_by": """
        SELECT a.product_id, a.number FROM activations a
        JOIN ranges r ON r.product_id = a.product_id
            AND a.number >= r.first_number AND a.number < r.first_number + r.quantity
        WHERE a.starts_at >= r.use_by""",
    "assigned of a lot = its numbers in products": """
        SELECT l.id, l.assigned FROM lots l LEFT JOIN ranges r ON r.lot_id = l.id
        GROUP BY l.id, l.assigned, l.quantity
        HAVING coalesce(sum(r.quantity), 0) <> l.assigned OR l.assigned NOT BETWEEN 0 AND l.quantity""",
    "a lot that was credited to a product is assigned whole": """
        SELECT id FROM lots WHERE product_id IS NOT NULL AND assigned <> quantity""",
    "an assignment is the numbers it gave": """
        SELECT s.id FROM assignments s LEFT JOIN ranges r ON r.assignment_id = s.id
        GROUP BY s.id, s.quantity HAVING coalesce(sum(r.quantity), 0) <> s.quantity""",
    "a product has a package exactly when codes were assigned to it": """
        SELECT p.id FROM products p
        WHERE (p.package_id IS NOT NULL) <> EXISTS (SELECT FROM ranges r WHERE r.product_id = p.id)""",
    "a product has one virtual device at the most": """
        SELECT product_id FROM devices WHERE virtual AND deleted_at IS NULL GROUP BY 1 HAVING count(*) > 1""",
    "what ended by renewed_until was followed, or it is written why not": """
        SELECT a.device_id, a.ordinal FROM activations a JOIN products p ON p.id = a.product_id
        WHERE a.ends_at <= p.renewed_until AND p.deleted_at IS NULL
          AND NOT EXISTS (SELECT FROM activations n WHERE n.device_id = a.device_id AND n.ordinal = a.ordinal + 1)
          AND NOT EXISTS (SELECT FROM lapses l WHERE l.device_id = a.device_id AND l.ordinal = a.ordinal)""",
    "each code's beginning is told once, with its device": """
        SELECT * FROM (
            SELECT e.product_key, t.device_key, count(*)
            FROM events e
            CROSS JOIN LATERAL jsonb_array_elements_text(e.facts -> 'device_keys') t (device_key)
            WHERE e.kind IN ('devices_activated', 'devices_renewed')
            GROUP BY 1, 2) told
        FULL JOIN (
            SELECT p.product_key, d.device_key, count(*)
            FROM activations a JOIN devices d ON d.id = a.device_id JOIN products p ON p.id = d.product_id
            GROUP BY 1, 2) happened USING (product_key, device_key, count)
        WHERE told IS NULL OR happened IS NULL""",
    "each lapse is told once, with its device": """
        SELECT * FROM (
            SELECT e.product_key, t.device_key, e.facts ->> 'reason' AS reason, count(*)
            FROM events e CROSS JOIN LATERAL jsonb_array_elements_text(e.facts -> 'device_keys') t (device_key)
            WHERE e.kind = 'devices_lapsed'
            GROUP BY 1, 2, 3) told
        FULL JOIN (
            SELECT p.product_key, d.device_key, l.reason, count(*)
            FROM lapses l JOIN devices d ON d.id = l.device_id JOIN products p ON p.id = d.product_id
            GROUP BY 1, 2, 3) happened USING (product_key, device_key, reason, count)
        WHERE told IS NULL OR happened IS NULL""",
    "each lot is told once": """
        SELECT l.id FROM lots l
        LEFT JOIN events e ON e.kind = 'codes_credited' AND e.facts ->> 'lot_id' = l.id AND e.account_id = l.account_id
            AND (e.facts ->> 'quantity')::integer = l.quantity
        GROUP BY l.id HAVING count(e.id) <> 1""",
    "each assignment is told once": """
        SELECT s.id FROM assignments s
        LEFT JOIN events e ON e.kind = 'codes_assigned' AND e.facts ->> 'assignment_id' = s.id
        GROUP BY s.id HAVING count(e.id) <> 1""",
}

_ALL = "\nUNION ALL\n".join(
    f"SELECT $what${name}$what$ AS what, broken::text FROM ({query}) broken"  # noqa: S608
    for name, query in BROKEN.items()
).encode()


async def broken(books: Books) -> list[str]:
    """What does not hold, and an example of it each."""
    return [f"broken: {what}: {example}" for what, example in await books.all(_ALL)]

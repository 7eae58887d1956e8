-- What services have kept of what they did and released, beside the ledger. Each statement answers rows with the
-- members kind, ref and detail, one for each finding. Leaves are searched as bytes: one that was tampered with
-- may be no JSON, not even text. A part's own tables are named without their schema. `gone` has the ids of entries
-- whose time was over and that were pruned: of those nothing is left to compare.

-- name: count_terminals
SELECT count(*) AS records FROM intent_terminal;

-- name: terminals
-- Each end of an act that a part has kept ↔ the intent and the outcome in the ledger. An act that was aborted
-- before its intent was appended has neither.
SELECT CASE WHEN i.item_id IS NULL THEN 'unrecorded' ELSE 'altered' END AS kind,
       t.intent_id AS ref,
       CASE WHEN i.item_id IS NULL THEN 'completed, and its intent is not in the log'
            WHEN i.kind <> 2 OR i.recorder <> %(part)s THEN 'what the log holds under its id is no intent of the part'
            WHEN t.completed THEN 'completed, and the log says otherwise'
            ELSE 'aborted, and the log says otherwise' END AS detail
  FROM intent_terminal AS t
  LEFT JOIN ledger.entry AS i ON i.item_id = t.intent_id
  LEFT JOIN ledger.entry AS o ON o.intent_id = t.intent_id
 WHERE NOT EXISTS (SELECT FROM gone WHERE gone.item_id = t.intent_id)
   AND CASE WHEN i.item_id IS NULL THEN t.completed
            WHEN i.kind <> 2 OR i.recorder <> %(part)s THEN true
            WHEN o.item_id IS NULL THEN false  -- told as an open intent, once it is old
            WHEN o.recorder <> %(part)s THEN true
            WHEN t.completed THEN position('"outcome":"completed"'::bytea IN o.leaf) = 0
            ELSE position('"outcome":"aborted"'::bytea IN o.leaf) = 0 END;

-- name: outcomes
-- Each outcome in the ledger ↔ the end that its part has kept; the part forgets those older than `kept_since`.
-- What the ledger itself destroys has its record in the batches of that decision, see cli/audit/openings.py.
SELECT 'unknown' AS kind, o.intent_id AS ref, 'the part has kept no end of the act' AS detail
  FROM ledger.entry AS o
  LEFT JOIN intent_terminal AS t ON t.intent_id = o.intent_id
 WHERE o.kind = 3
   AND o.recorder = %(part)s
   AND o.appended_at >= %(kept_since)s
   AND t.intent_id IS NULL
   AND (o.recorder <> 'ledger' OR position('"method":"ledger.shred"'::bytea IN o.leaf) = 0);

-- name: count_replies
SELECT count(*) AS records FROM reply WHERE receipt_id IS NOT NULL;

-- name: replies
-- Each answer that is kept for a retry ↔ the entry that it was released under.
SELECT CASE WHEN e.item_id IS NULL THEN 'unrecorded' ELSE 'altered' END AS kind,
       r.receipt_id AS ref,
       CASE WHEN e.item_id IS NULL THEN 'an answer is kept whose entry is not in the log'
            ELSE 'an answer is kept whose entry is no disclosure of the part' END AS detail
  FROM reply AS r
  LEFT JOIN ledger.entry AS e ON e.item_id = r.receipt_id
 WHERE r.receipt_id IS NOT NULL
   AND NOT EXISTS (SELECT FROM gone WHERE gone.item_id = r.receipt_id)
   AND (e.item_id IS NULL OR e.kind <> 1 OR e.recorder <> %(part)s);

-- name: count_signatures
SELECT count(*) AS records FROM eseal.signature;

-- name: signatures
-- Each seal that was put ↔ the outcome of its act, which names signature, caller, office and case.
SELECT CASE WHEN i.item_id IS NULL OR o.item_id IS NULL THEN 'unrecorded' ELSE 'altered' END AS kind,
       s.id AS ref,
       CASE WHEN i.item_id IS NULL THEN 'its intent is not in the log'
            WHEN o.item_id IS NULL THEN 'its outcome is not in the log'
            ELSE 'its outcome in the log says something else' END AS detail
  FROM eseal.signature AS s
  LEFT JOIN ledger.entry AS i ON i.item_id = s.intent_id AND i.kind = 2 AND i.recorder = 'eseal'
  LEFT JOIN ledger.entry AS o ON o.intent_id = s.intent_id
 WHERE NOT EXISTS (SELECT FROM gone WHERE gone.item_id = s.intent_id)
   AND (i.item_id IS NULL
    OR CASE WHEN o.item_id IS NULL THEN i.appended_at < %(grace)s
            ELSE o.recorder <> 'eseal'
                 OR o.caller <> s.caller
                 OR position('"outcome":"completed"'::bytea IN o.leaf) = 0
                 OR position('"method":"eseal.sign"'::bytea IN o.leaf) = 0
                 OR position(convert_to('"version":"' || s.id || '"', 'UTF8') IN o.leaf) = 0
                 OR position(convert_to('"office":' || to_json(s.office_code)::text, 'UTF8') IN o.leaf) = 0
                 OR position(convert_to('"case_number":' || to_json(s.case_number)::text, 'UTF8') IN o.leaf) = 0
       END);

-- name: sealed_acts
-- Each completed act of sealing ↔ its signature.
SELECT 'unknown' AS kind, o.intent_id AS ref, 'a seal was put by the log, and there is no such signature' AS detail
  FROM ledger.entry AS o
  LEFT JOIN eseal.signature AS s ON s.intent_id = o.intent_id
 WHERE o.kind = 3
   AND o.recorder = 'eseal'
   AND position('"outcome":"completed"'::bytea IN o.leaf) > 0
   AND position('"method":"eseal.sign"'::bytea IN o.leaf) > 0
   AND s.id IS NULL;

-- name: count_remote_signatures
SELECT count(*) AS records FROM eseal.remote_signature;

-- name: remote_signatures
-- Each signature that a company's key has made ↔ the outcome of its act, which names it with its credential.
SELECT CASE WHEN i.item_id IS NULL OR o.item_id IS NULL THEN 'unrecorded' ELSE 'altered' END AS kind,
       s.id AS ref,
       CASE WHEN i.item_id IS NULL THEN 'its intent is not in the log'
            WHEN o.item_id IS NULL THEN 'its outcome is not in the log'
            ELSE 'its outcome in the log says something else' END AS detail
  FROM eseal.remote_signature AS s
  LEFT JOIN ledger.entry AS i ON i.item_id = s.intent_id AND i.kind = 2 AND i.recorder = 'eseal'
  LEFT JOIN ledger.entry AS o ON o.intent_id = s.intent_id
 WHERE NOT EXISTS (SELECT FROM gone WHERE gone.item_id = s.intent_id)
   AND (i.item_id IS NULL
    OR CASE WHEN o.item_id IS NULL THEN i.appended_at < %(grace)s
            ELSE o.recorder <> 'eseal'
                 OR o.caller <> s.caller
                 OR position('"outcome":"completed"'::bytea IN o.leaf) = 0
                 OR position('"method":"eseal.remote_sign_'::bytea IN o.leaf) = 0
                 OR position(convert_to('"resource":"remote_credential:' || s.credential_id || '"', 'UTF8')
                             IN o.leaf) = 0
                 OR position(convert_to('"resource":"remote_signature","version":"' || s.id || '"', 'UTF8')
                             IN o.leaf) = 0
       END);

-- name: remote_acts
-- Each signature that a completed act of remote signing names ↔ its row, which is of that act.
WITH told AS (
    SELECT o.intent_id,
           (regexp_matches(encode(o.leaf, 'escape'),
                           '"resource":"remote_signature","version":"([0-9a-f-]{36})"', 'g'))[1] AS id
      FROM ledger.entry AS o
     WHERE o.kind = 3
       AND o.recorder = 'eseal'
       AND position('"outcome":"completed"'::bytea IN o.leaf) > 0
       AND position('"method":"eseal.remote_sign_'::bytea IN o.leaf) > 0
)
SELECT CASE WHEN s.id IS NULL THEN 'unknown' ELSE 'altered' END AS kind, told.id AS ref,
       CASE WHEN s.id IS NULL THEN 'it was made by the log, and there is no such remote signature'
            ELSE 'the log says that another act made it' END AS detail
  FROM told
  LEFT JOIN eseal.remote_signature AS s ON s.id::text = told.id
 WHERE s.intent_id IS DISTINCT FROM told.intent_id;

-- name: remote_doubled
-- A remote signature is told once: by one act, and there one time.
SELECT 'doubled' AS kind, told.id AS ref, 'the log tells it ' || count(*) || ' times' AS detail
  FROM (SELECT (regexp_matches(encode(o.leaf, 'escape'),
                               '"resource":"remote_signature","version":"([0-9a-f-]{36})"', 'g'))[1] AS id
          FROM ledger.entry AS o
         WHERE o.kind = 3
           AND o.recorder = 'eseal'
           AND position('"method":"eseal.remote_sign_'::bytea IN o.leaf) > 0) AS told
 GROUP BY told.id
HAVING count(*) > 1;

-- name: count_seal_acts
SELECT count(*) AS records FROM eseal.seal_act WHERE intent_id IS NOT NULL;

-- name: seal_acts
-- Each act of a seal's history that operators asked for ↔ the outcome of that act. Those of the city's set-up have none.
SELECT CASE WHEN i.item_id IS NULL OR o.item_id IS NULL THEN 'unrecorded' ELSE 'altered' END AS kind,
       a.request_id AS ref,
       a.action || CASE WHEN o.item_id IS NULL THEN ': its outcome is not in the log'
                        ELSE ': its outcome in the log says something else' END AS detail
  FROM eseal.seal_act AS a
  LEFT JOIN ledger.entry AS i ON i.item_id = a.intent_id AND i.kind = 2 AND i.recorder = 'eseal'
  LEFT JOIN ledger.entry AS o ON o.intent_id = a.intent_id
 WHERE a.intent_id IS NOT NULL
   AND NOT EXISTS (SELECT FROM gone WHERE gone.item_id = a.intent_id)
   AND (i.item_id IS NULL
    OR CASE WHEN o.item_id IS NULL THEN i.appended_at < %(grace)s
            ELSE o.recorder <> 'eseal'
                 OR position('"outcome":"completed"'::bytea IN o.leaf) = 0
                 OR position(convert_to('"method":"eseal.seal_' || a.action || '"', 'UTF8') IN o.leaf) = 0
                 OR position(convert_to('"resource":"seal:' || a.seal_id || '","version":"' || a.request_id || '"',
                                        'UTF8') IN o.leaf) = 0
       END);

-- name: seal_acts_told
-- Each completed act of a seal's life in the log ↔ its row in the history.
SELECT 'unknown' AS kind, o.intent_id AS ref, 'an act of a seal is in the log, and not in its history' AS detail
  FROM ledger.entry AS o
  LEFT JOIN eseal.seal_act AS a ON a.intent_id = o.intent_id
 WHERE o.kind = 3
   AND o.recorder = 'eseal'
   AND position('"outcome":"completed"'::bytea IN o.leaf) > 0
   AND position('"method":"eseal.seal_'::bytea IN o.leaf) > 0
   AND a.seal_id IS NULL;

-- name: seal_standings
-- A seal stands where its history has led it.
SELECT 'altered' AS kind, s.id AS ref, 'the seal does not stand where its history has led it' AS detail
  FROM eseal.seal AS s
  JOIN (SELECT DISTINCT ON (seal_id) seal_id, to_standing FROM eseal.seal_act ORDER BY seal_id, step DESC) AS a
       ON a.seal_id = s.id
 WHERE a.to_standing <> s.standing;

-- name: count_consents
SELECT (SELECT count(*) FROM agricredit.consent_request) + (SELECT count(*) FROM agricredit.consent) AS records;

-- name: consents
-- Each consent request and each consent bears its act's id ↔ that act's outcome.
SELECT CASE WHEN o.item_id IS NULL THEN 'unrecorded' ELSE 'altered' END AS kind,
       made.id AS ref,
       made.method || CASE WHEN o.item_id IS NULL THEN ': its outcome is not in the log'
                           ELSE ': its outcome in the log says something else' END AS detail
  FROM (SELECT request_id AS id, 'consent.request' AS method, partner_id AS caller FROM agricredit.consent_request
         UNION ALL
        SELECT consent_id, 'consent.grant', NULL FROM agricredit.consent) AS made
  LEFT JOIN ledger.entry AS i ON i.item_id = made.id
  LEFT JOIN ledger.entry AS o ON o.intent_id = made.id
 WHERE NOT EXISTS (SELECT FROM gone WHERE gone.item_id = made.id)
   AND CASE WHEN o.item_id IS NULL THEN i.item_id IS NULL OR i.appended_at < %(grace)s
            ELSE o.recorder <> 'agricredit'
                 OR o.caller <> coalesce(made.caller, o.caller)
                 OR position('"outcome":"completed"'::bytea IN o.leaf) = 0
                 OR position(convert_to('"method":"' || made.method || '"', 'UTF8') IN o.leaf) = 0
       END;

-- name: consent_acts
-- Each completed request and grant in the log ↔ the row that it made.
SELECT 'unknown' AS kind, o.intent_id AS ref, 'the log says that it was made, and there is no such row' AS detail
  FROM ledger.entry AS o
  LEFT JOIN agricredit.consent_request AS r ON r.request_id = o.intent_id
  LEFT JOIN agricredit.consent AS c ON c.consent_id = o.intent_id
 WHERE o.kind = 3
   AND o.recorder = 'agricredit'
   AND position('"outcome":"completed"'::bytea IN o.leaf) > 0
   AND (position('"method":"consent.request"'::bytea IN o.leaf) > 0 AND r.request_id IS NULL
        OR position('"method":"consent.grant"'::bytea IN o.leaf) > 0 AND c.consent_id IS NULL);

-- name: revocations
-- Each revoked consent ↔ a completed revocation of it in the log, and the other way round.
WITH said AS (
    SELECT substring(encode(leaf, 'escape')
                     FROM '"resource":"consent","version":"([0-9a-f-]{36})"') AS consent_id,
           min(appended_at) AS at
      FROM ledger.entry
     WHERE kind = 3
       AND recorder = 'agricredit'
       AND position('"method":"consent.revoke"'::bytea IN leaf) > 0
       AND position('"outcome":"completed"'::bytea IN leaf) > 0
     GROUP BY 1
)
SELECT CASE WHEN said.consent_id IS NULL THEN 'unrecorded' WHEN c.consent_id IS NULL THEN 'unknown'
            ELSE 'altered' END AS kind,
       coalesce(c.consent_id::text, said.consent_id) AS ref,
       CASE WHEN said.consent_id IS NULL THEN 'revoked, and the log does not say so'
            ELSE 'the log says that it was revoked, and it stands' END AS detail
  FROM agricredit.consent AS c
  FULL JOIN said ON said.consent_id = c.consent_id::text
 WHERE (said.consent_id IS NULL AND c.revoked_at < %(grace)s AND NOT EXISTS (SELECT FROM gone))
    OR (said.consent_id IS NOT NULL AND c.revoked_at IS NULL);

-- name: count_uses
SELECT count(*) AS records FROM agricredit.consent_use;

-- name: uses
-- Each use of a consent that names an entry ↔ that entry, which rests on that consent.
SELECT CASE WHEN e.item_id IS NULL THEN 'unrecorded' ELSE 'altered' END AS kind,
       u.use_id AS ref,
       CASE WHEN e.item_id IS NULL THEN 'its entry is not in the log'
            ELSE 'its entry in the log rests on something else' END AS detail
  FROM agricredit.consent_use AS u
  LEFT JOIN ledger.entry AS e ON e.item_id = u.entry_id
 WHERE u.entry_id IS NOT NULL
   AND NOT EXISTS (SELECT FROM gone WHERE gone.item_id = u.entry_id)
   AND (e.item_id IS NULL
        OR e.kind <> 1
        OR e.recorder <> 'agricredit'
        OR position(convert_to('"method":"credit.' || u.item || '"', 'UTF8') IN e.leaf) = 0
        OR position(convert_to('"consent_id":"' || u.consent_id || '"', 'UTF8') IN e.leaf) = 0);

-- name: doubled_uses
-- One entry is one answer, and one answer is one use.
SELECT 'doubled' AS kind, entry_id AS ref, 'one entry confirms ' || count(*) || ' uses' AS detail
  FROM agricredit.consent_use
 WHERE entry_id IS NOT NULL
 GROUP BY entry_id
HAVING count(*) > 1;

-- name: counted_uses
-- A consent counts every use that was not given back.
SELECT 'altered' AS kind, c.consent_id AS ref,
       'counts ' || c.uses || ' uses of ' || coalesce(u.uses, 0) AS detail
  FROM agricredit.consent AS c
  LEFT JOIN (SELECT consent_id, count(*) AS uses FROM agricredit.consent_use WHERE state <> 'released'
              GROUP BY consent_id) AS u ON u.consent_id = c.consent_id
 WHERE c.uses <> coalesce(u.uses, 0);

-- name: used_consents
-- Each consent's answers in the log ↔ its uses: a confirmed use has an entry of its own (uses from before entries
-- were named too), and where there are entries there is a use that was not given back.
WITH given AS (
    SELECT substring(encode(leaf, 'escape') FROM '"consent_id":"([0-9a-f-]{36})"') AS consent_id,
           count(*) AS times
      FROM ledger.entry
     WHERE kind = 1
       AND recorder = 'agricredit'
       AND position('"method":"credit.'::bytea IN leaf) > 0
     GROUP BY 1
), used AS (
    SELECT consent_id::text AS consent_id, count(*) FILTER (WHERE state = 'confirmed') AS confirmed
      FROM agricredit.consent_use
     WHERE state <> 'released'
     GROUP BY 1
)
SELECT CASE WHEN used.consent_id IS NULL THEN 'unknown' ELSE 'unrecorded' END AS kind,
       coalesce(used.consent_id, given.consent_id) AS ref,
       coalesce(used.confirmed, 0) || ' confirmed uses, ' || coalesce(given.times, 0)
           || ' answers in the log' AS detail
  FROM given
  FULL JOIN used ON used.consent_id = given.consent_id
 WHERE used.consent_id IS NULL
    OR used.confirmed > coalesce(given.times, 0) AND NOT EXISTS (SELECT FROM gone);

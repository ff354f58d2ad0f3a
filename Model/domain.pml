/* One domain of Rollcall: assignment, replication, promotion, hand-over, and a follower that is brought up to date.
 *
 * What each part stands for in the code, and what is left out, is in docs/testing.md ("The model"). Checked by
 * Model/check.sh, which sets the bounds below. Every fault has a budget and every message is sent again only when it
 * may be missing, so each run ends; promises are assertions, and "it settles" is one about how runs end.
 */

#ifndef NODES
#define NODES 3                 /* sr nodes; node 0 owns the domain at first, others stand by */
#endif
#ifndef WRITES
#define WRITES 2                /* registrations, each of a contact of its own; at most 3 */
#endif
#ifndef CRASHES
#define CRASHES 0               /* processes that end; they return with what their journals hold */
#endif
#ifndef WIPES
#define WIPES 0                 /* processes that end and lose their disk, while another member lives */
#endif
#ifndef CUTS
#define CUTS 0                  /* nodes cut off from all others but not from clients; covers stopped ones */
#endif
#ifndef LOSSES
#define LOSSES 0                /* messages that are lost */
#endif
#ifndef ROUTER_PAUSES
#define ROUTER_PAUSES 0         /* routers that are stopped while they lead, with what they had under way */
#endif
#ifndef MOVES
#define MOVES 0                 /* moves of the domain to node 1, as ordered by an operator */
#endif
#ifndef IN_SYNC
#define IN_SYNC (BIT(NODES) - 2)    /* which nodes are in sync at first */
#endif
#ifndef FOLLOWED
#define FOLLOWED 1              /* whether there is a follower */
#endif
#ifndef MAY_LOSE
#define MAY_LOSE 0              /* 1 where more fails than standbys can bear, and the grace may end */
#endif

#define IDS (2 * NODES)         /* node lives: every node has at most two */
#define NONE 15
#define ROUTERS 2
#define EPOCHS 6
#define ALL_WRITES ((1 << WRITES) - 1)

#define ID(n) ((n) + NODES * life[n])
#define NODE(i) ((i) % NODES)
#define BIT(i) (1 << (i))
#define IS_DOWN(i) (down & BIT(i))
#define LIVES(i) (up[NODE(i)] && ID(NODE(i)) == (i))
#define ENTRY(log, s) (((log) >> (2 * ((s) - 1))) & 3)

/* The coordinator: the stored assignment, and the term of the router that leads. */
byte cEpoch = 1, cRevision = 1, cOwner = 0, cTerm = 0;
byte cInSync = IN_SYNC;
byte leader = NONE;

/* Each router: a store under way, and the lives that it holds to be down while it leads. */
bool paused[ROUTERS], storing[ROUTERS];
byte sTerm[ROUTERS], sExpected[ROUTERS], sEpoch[ROUTERS], sOwner[ROUTERS], sInSync[ROUTERS];
byte down = 0;

/* Each node: what it knows of the assignment, its copy, and what an owner keeps besides. */
bool up[NODES] = true, cut[NODES], life[NODES], lease[NODES], deposed[NODES], whole[NODES] = true;
bool asked[NODES];                              /* whether it has said that everything is handed over */
byte kEpoch[NODES] = 1, kRevision[NODES] = 1, kOwner[NODES] = 0, kInSync[NODES] = IN_SYNC;
byte epoch[NODES] = 1, last[NODES] = 1;         /* the position: of the copy, or the end of the owner's log */
byte list[NODES], restated[NODES];              /* contacts; those that were said in this epoch */
byte replayEnd[NODES] = 1;                      /* 0 while the owner has yet to restate something */
short log[NODES];                               /* two bits an entry: 0 clear, else a contact */
byte committed[NODES], joining[NODES], handOver[NODES] = NONE;
byte acknowledgedBy[NODES * IDS], isWhole[NODES];
byte granted[NODES], late[NODES];               /* writes that wait for their commit; of these, asked too late */
byte grantedAt[NODES * WRITES];

/* The follower: a consumer that keeps the set by what it is told. */
byte fKnows = 1, fOwner = 0, fEpoch = 1, fLast = 1, fSet = 0;
bool fWhole = true;

/* What clients know. */
byte acknowledged = 0, latestEpoch = 0;
byte writer[EPOCHS + 1] = NONE;
short told[EPOCHS + 1];                         /* the committed log of each epoch, and how long it is */
byte toldTo[EPOCHS + 1];

byte crashes = CRASHES, wipes = WIPES, cuts = CUTS, losses = LOSSES, routerPauses = ROUTER_PAUSES, moves = MOVES;
byte wish = NONE;

mtype = { entries, snapshot, add, remove, hand };
/* From the owner: its life, epoch, kind, entry before the first, last entry, entries or list, whether replay ends. */
chan toStandby[NODES] = [1] of { byte, byte, mtype, byte, byte, short, bool };
chan toFollower = [1] of { byte, byte, mtype, byte, byte, short, bool };
/* From a replica: its life, to which life, epoch in force, applied, whether it is whole. */
chan follow[NODES] = [1] of { byte, byte, byte, byte, bool };
/* From an owner to the router that leads: its life, what it asks for, of which life, under which revision. */
chan ask = [1] of { byte, mtype, byte, byte };
/* From a router to the owner: to which life, under which revision. */
chan order = [1] of { byte, byte };

#define OWNS(n) (up[n] && kOwner[n] == ID(n) && epoch[n] == kEpoch[n] && !deposed[n])
#define HELD_BY(n, i) acknowledgedBy[(n) * IDS + (i)]
#define GRANTED_AT(n, w) grantedAt[(n) * WRITES + (w)]

/* A guard or an action for every node, every life. */
#if NODES > 2
#define ALL_NODES(it) it(0) && it(1) && it(2)
#define EACH_NODE(option) option(0) option(1) option(2)
#define ALL_LIVES(it) it(0) && it(1) && it(2) && it(3) && it(4) && it(5)
#define EACH_LIFE(option) option(0) option(1) option(2) option(3) option(4) option(5)
#else
#define ALL_NODES(it) it(0) && it(1)
#define EACH_NODE(option) option(0) option(1)
#define ALL_LIVES(it) it(0) && it(1) && it(2) && it(3)
#define EACH_LIFE(option) option(0) option(1) option(2) option(3)
#endif
#if WRITES > 2
#define EACH_WRITE(option) option(0) option(1) option(2)
#elif WRITES > 1
#define EACH_WRITE(option) option(0) option(1)
#else
#define EACH_WRITE(option) option(0)
#endif

/* ---- Promises ---- */

inline promise_nothing_acknowledged_is_lost(n) {
    if
    :: !MAY_LOSE && (acknowledged & ~list[n]) ->
        printf("VIOLATED nothing acknowledged is lost: node %d owns epoch %d with list %d; acknowledged is %d\n",
            n, epoch[n], list[n], acknowledged);
        assert(false)
    :: else
    fi
}

inline promise_one_writer(n, w) {
    if
    :: writer[epoch[n]] != NONE && writer[epoch[n]] != n ->
        printf("VIOLATED one writer: nodes %d and %d acknowledge in epoch %d\n", writer[epoch[n]], n, epoch[n]);
        assert(false)
    :: (late[n] & BIT(w)) ->
        printf("VIOLATED one writer: node %d, deposed from epoch %d, acknowledges what was asked after epoch %d was known\n",
            n, epoch[n], latestEpoch);
        assert(false)
    :: else
    fi;
    writer[epoch[n]] = n
}

/* An epoch has one log, whoever commits. */
inline promise_one_order(n) {
    if
    :: toldTo[epoch[n]] < committed[n] ->
        toldTo[epoch[n]] = committed[n];
        told[epoch[n]] = told[epoch[n]] | (ENTRY(log[n], committed[n]) << (2 * (committed[n] - 1)))
    :: toldTo[epoch[n]] >= committed[n] && ENTRY(told[epoch[n]], committed[n]) != ENTRY(log[n], committed[n]) ->
        printf("VIOLATED one order: epoch %d has two entries %d\n", epoch[n], committed[n]);
        assert(false)
    :: else
    fi
}

/* A follower goes from one committed position to the one after it, or to number 1 of a later epoch. */
inline promise_no_gap(nextEpoch, number, words) {
    if
    :: ((nextEpoch == fEpoch && number == fLast + 1) || (nextEpoch > fEpoch && number == 1)) &&
            toldTo[nextEpoch] >= number && (ENTRY(told[nextEpoch], number) == ENTRY(words, number))
    :: else ->
        printf("VIOLATED one order: the follower at %d of epoch %d is told %d of epoch %d\n",
            fLast, fEpoch, number, nextEpoch);
        assert(false)
    fi
}

/* Where the follower is as far as the owner, it holds the owner's list. */
inline promise_the_set_equals(n) {
    if
    :: OWNS(n) && fWhole && fEpoch == epoch[n] && fLast == last[n] && replayEnd[n] > 0 && fSet != list[n] ->
        printf("VIOLATED a consumer keeps the set: it holds %d at %d of epoch %d; the owner's list is %d\n",
            fSet, fLast, fEpoch, list[n]);
        assert(false)
    :: else
    fi
}

#define IN_SYNC_IF_LIVE(n) (NODE(cOwner) == n || (cInSync & BIT(ID(n))))
#define IS_UP(n) (up[n] && !cut[n])
#define FOLLOWER_IS_THERE (!FOLLOWED || fEpoch == cEpoch && fLast == last[NODE(cOwner)] && fSet == list[NODE(cOwner)] && fWhole)
#define HAS_SETTLED (acknowledged == ALL_WRITES && ALL_NODES(IS_UP) && OWNS(NODE(cOwner)) && ALL_NODES(IN_SYNC_IF_LIVE) \
    && epoch[NODE(cOwner)] == cEpoch && FOLLOWER_IS_THERE && wish == NONE)

/* When nothing more can happen, everything that ought to has. */
active proctype Settles() {
end:
    do
    :: atomic { timeout && !HAS_SETTLED ->
        printf("VIOLATED it settles: owner node %d of epoch %d, in sync %d, acknowledged %d, follower at %d of epoch %d\n",
            NODE(cOwner), cEpoch, cInSync, acknowledged, fLast, fEpoch);
        assert(false) }
    od
}

/* ---- What may happen when ---- */

#define WAITED_FOR(n) (kInSync[n] | joining[n])
#ifdef MUTANT_FORGETS_THE_LEASE
#define MAY_ACT_ALONE(n) true
#else
#define MAY_ACT_ALONE(n) lease[n]
#endif
#define MAY_GRANT(n, w) (OWNS(n) && handOver[n] == NONE && !(granted[n] & BIT(w)) && !(acknowledged & BIT(w)) \
    && (WAITED_FOR(n) || MAY_ACT_ALONE(n)))
#define HOLDS_NEXT(i) (!(WAITED_FOR(n) & BIT(i)) || HELD_BY(n, i) > committed[n])
#ifdef MUTANT_ACKNOWLEDGES_FIRST
#define MAY_COMMIT(n) (OWNS(n) && committed[n] < last[n])
#else
#define MAY_COMMIT(n) (OWNS(n) && committed[n] < last[n] \
    && (WAITED_FOR(n) -> (ALL_LIVES(HOLDS_NEXT)) : MAY_ACT_ALONE(n)))
#endif
/* Sent again only once an answer was had, or the message was lost. */
#define MAY_SEND(n, m) (m != n && OWNS(n) && !cut[n] && IS_UP(m) && kEpoch[m] >= epoch[n] && len(toStandby[m]) == 0 \
    && len(follow[m]) == 0 && (HELD_BY(n, ID(m)) < last[n] || replayEnd[n] && !(isWhole[n] & BIT(ID(m)))))
#define FOLLOWER_LACKS(n) (committed[n] > 0 && (fEpoch != epoch[n] || fLast < committed[n] \
    || !fWhole && replayEnd[n] > 0 && committed[n] >= replayEnd[n]))
#define IS_FAULTY(i) (!LIVES(i) || cut[NODE(i)])
/* A router that holds it to be down would not heed it, and finds it up first. */
#define MAY_ASK(n) (OWNS(n) && !cut[n] && leader != NONE && !IS_DOWN(ID(n)) && len(ask) == 0 && kRevision[n] == cRevision)
#define MAY_REMOVE(n, i) (MAY_ASK(n) && (kInSync[n] & BIT(i)) && IS_FAULTY(i) && HELD_BY(n, i) < last[n])
#ifdef MUTANT_NEVER_COUNTS_IN
#define IS_WANTED(m) false
#else
#define IS_WANTED(m) true
#endif
#define MAY_ADD(n, m) (IS_WANTED(m) && m != n && MAY_ASK(n) && !(kInSync[n] & BIT(ID(m))) && IS_UP(m) && !IS_DOWN(ID(m)) && replayEnd[n] > 0 \
    && HELD_BY(n, ID(m)) == last[n] && (isWhole[n] & BIT(ID(m))))

/* ---- An owner ---- */

inline append(n, entry) {
    log[n] = log[n] | (entry << (2 * last[n]));
    last[n] = last[n] + 1;
    list[n] = list[n] | BIT(entry - 1);
    restated[n] = restated[n] | BIT(entry - 1)
}

inline forget_ownership(n) {
    committed[n] = 0; joining[n] = 0; granted[n] = 0; late[n] = 0; deposed[n] = false; handOver[n] = NONE;
    asked[n] = false; lease[n] = false; isWhole[n] = 0; log[n] = 0;
    for (i : 0 .. IDS - 1) { HELD_BY(n, i) = 0 }
    for (i : 0 .. WRITES - 1) { GRANTED_AT(n, i) = 0 }
    i = 0
}

inline take_over(n) {
    forget_ownership(n);
    epoch[n] = kEpoch[n]; last[n] = 1; restated[n] = 0; replayEnd[n] = 0; whole[n] = true;
    printf("node %d takes over epoch %d; its list is %d\n", n, epoch[n], list[n]);
    promise_nothing_acknowledged_is_lost(n)
}

/* The node is told of the assignment in force. */
inline learn(n) {
    kRevision[n] = cRevision; kEpoch[n] = cEpoch; kInSync[n] = cInSync; kOwner[n] = cOwner;
    if
    :: kOwner[n] == ID(n) && epoch[n] != kEpoch[n] -> take_over(n)
    :: kOwner[n] == ID(n) && epoch[n] == kEpoch[n] ->
        joining[n] = 0;
        if
        :: handOver[n] != NONE && !(kInSync[n] & BIT(handOver[n])) -> handOver[n] = NONE; asked[n] = false
        :: else
        fi
    :: kOwner[n] != ID(n) -> forget_ownership(n)
    fi
}

inline grant(n, w) {
    append(n, w + 1);
    granted[n] = granted[n] | BIT(w);
    GRANTED_AT(n, w) = last[n];
    if
    :: latestEpoch > epoch[n] -> late[n] = late[n] | BIT(w)
    :: else
    fi;
    printf("node %d takes on write %d as entry %d of epoch %d\n", n, w, last[n], epoch[n])
}

inline acknowledge(n, w) {
    printf("node %d acknowledges write %d in epoch %d\n", n, w, epoch[n]);
    promise_one_writer(n, w);
    granted[n] = granted[n] & ~BIT(w); late[n] = late[n] & ~BIT(w); GRANTED_AT(n, w) = 0;
    acknowledged = acknowledged | BIT(w);
    if
    :: latestEpoch < epoch[n] -> latestEpoch = epoch[n]
    :: else
    fi;
    /* Who owns a later epoch already must have it, too. */
    for (k : 0 .. NODES - 1) {
        if
        :: OWNS(k) && epoch[k] > epoch[n] -> promise_nothing_acknowledged_is_lost(k)
        :: else
        fi
    }
    k = 0
}

inline commit(n) {
    committed[n] = committed[n] + 1;
    promise_one_order(n);
    for (w : 0 .. WRITES - 1) {
        if
        :: (granted[n] & BIT(w)) && GRANTED_AT(n, w) == committed[n] -> acknowledge(n, w)
        :: else
        fi
    }
    w = 0
}

inline send(n, m) {
    if
    :: toStandby[m] ! ID(n), epoch[n], entries, HELD_BY(n, ID(m)), last[n], log[n], (replayEnd[n] > 0)
    :: !(WAITED_FOR(n) & BIT(ID(m))) && HELD_BY(n, ID(m)) == 0 && last[n] > 1 ->
        toStandby[m] ! ID(n), epoch[n], snapshot, 0, last[n], list[n], true
    fi
}

#ifdef MUTANT_TELLS_BEFORE_THE_COMMIT
#define MAY_TELL(n) last[n]
#else
#define MAY_TELL(n) committed[n]
#endif
/* To a follower only what is committed. */
inline send_follower(n) {
    if
    :: toFollower ! ID(n), epoch[n], entries, (fEpoch == epoch[n] -> fLast : 0), MAY_TELL(n), log[n],
            (replayEnd[n] > 0 && MAY_TELL(n) >= replayEnd[n])
    :: committed[n] == last[n] && replayEnd[n] > 0 && (fEpoch != epoch[n] || fLast < last[n]) ->
        toFollower ! ID(n), epoch[n], snapshot, 0, last[n], list[n], true
    fi
}

/* The owner hears a replica, or somebody who knows better. */
inline hear(n, m) {
    follow[m] ? from, k, e, end, ends;
    if
    :: cut[n] || cut[m] -> skip
    :: else ->
        if
        :: e > epoch[n] && kOwner[n] == ID(n) && !deposed[n] ->
            printf("node %d hears that it is deposed from epoch %d\n", n, epoch[n]);
            deposed[n] = true; granted[n] = 0; late[n] = 0
        :: e == epoch[n] && OWNS(n) && k == ID(n) ->
            HELD_BY(n, from) = end;
            isWhole[n] = (ends -> isWhole[n] | BIT(from) : isWhole[n] & ~BIT(from))
        :: else
        fi
    fi;
    from = 0; k = 0; e = 0; end = 0; ends = false
}

/* ---- A standby ---- */

inline take_entries(n) {
    if
    :: kind == snapshot ->
        epoch[n] = e; last[n] = end; list[n] = content; restated[n] = content; whole[n] = true; replayEnd[n] = end;
        printf("node %d takes a snapshot at %d of epoch %d: its list is %d\n", n, last[n], epoch[n], list[n])
    :: kind == entries && base <= (epoch[n] == e -> last[n] : 0) ->
        for (i : (epoch[n] == e -> last[n] : 0) + 1 .. end) {
            if
            :: i == 1 -> restated[n] = 0; replayEnd[n] = 0
            :: else ->
                list[n] = list[n] | BIT(ENTRY(content, i) - 1); restated[n] = restated[n] | BIT(ENTRY(content, i) - 1)
            fi;
            epoch[n] = e; last[n] = i
        }
        i = 0;
        if
        :: ends && replayEnd[n] == 0 -> list[n] = list[n] & restated[n]; whole[n] = true; replayEnd[n] = last[n]
        :: else
        fi;
        printf("node %d is at %d of epoch %d: its list is %d\n", n, last[n], epoch[n], list[n])
    :: else                                              /* a gap: its answer has the stream rewound */
    fi
}

inline take(n) {
    toStandby[n] ? from, e, kind, base, end, content, ends;
    if
    :: cut[n] || cut[NODE(from)] || kRevision[n] == 0 || e > kEpoch[n] -> skip      /* lost, or too early */
#ifdef MUTANT_HEEDS_THE_DEPOSED
    :: !cut[n] && !cut[NODE(from)] && kRevision[n] > 0 && e < kEpoch[n] -> follow[n] ! ID(n), from, e, end, true
#else
    :: !cut[n] && !cut[NODE(from)] && kRevision[n] > 0 && e < kEpoch[n] -> follow[n] ! ID(n), from, kEpoch[n], 0, false
#endif
    :: !cut[n] && !cut[NODE(from)] && kRevision[n] > 0 && e == kEpoch[n] ->
        if
        :: kOwner[n] == from && from != ID(n) ->
            take_entries(n);
            follow[n] ! ID(n), from, e, (epoch[n] == e -> last[n] : 0), (epoch[n] == e && whole[n] && replayEnd[n] > 0)
        :: else
        fi
    fi;
    from = 0; e = 0; kind = 0; base = 0; end = 0; content = 0; ends = false
}

#define GRANT(w) :: atomic { MAY_GRANT(n, w) -> grant(n, w) }
#define SEND(m) :: atomic { MAY_SEND(n, m) -> send(n, m) }
/* What was meant for an earlier life is read and passed over. */
#define FOR_NODE(n, m) (follow[m] ? [_, eval(n), _, _, _] || follow[m] ? [_, eval(n + NODES), _, _, _])
#define HEAR(m) :: atomic { up[n] && FOR_NODE(n, m) -> hear(n, m) }
#define REMOVE(i) :: atomic { MAY_REMOVE(n, i) -> ask ! ID(n), remove, i, kRevision[n] }
#define ADD(m) :: atomic { MAY_ADD(n, m) -> joining[n] = joining[n] | BIT(ID(m)); ask ! ID(n), add, ID(m), kRevision[n] }

proctype Registrar(byte n) {
    byte i, k, w, from, e, base, end, revision;
    short content;
    mtype kind;
    bool ends;
end_serving:
    do
    :: atomic { IS_UP(n) && leader != NONE && kRevision[n] < cRevision -> learn(n) }
    :: atomic { up[n] && len(toStandby[n]) > 0 && len(follow[n]) == 0 -> take(n) }
    /* The replay: what is live is said again, unless a write has said it. */
    :: atomic { OWNS(n) && replayEnd[n] == 0 ->
        for (w : 0 .. WRITES - 1) {
            if
            :: (list[n] & ~restated[n] & BIT(w)) -> append(n, w + 1)
            :: else
            fi
        }
        w = 0;
        replayEnd[n] = last[n] }
    EACH_WRITE(GRANT)
    :: atomic { MAY_COMMIT(n) ->
        do
        :: MAY_COMMIT(n) -> commit(n)
        :: else -> break
        od }
    EACH_NODE(SEND)
    EACH_NODE(HEAR)
    EACH_LIFE(REMOVE)
    EACH_NODE(ADD)
#if FOLLOWED
    :: atomic { OWNS(n) && !cut[n] && fKnows == epoch[n] && fOwner == ID(n) && len(toFollower) == 0 &&
            FOLLOWER_LACKS(n) -> send_follower(n) }
#endif
    /* A hand-over: ordered by a router; the owner takes on nothing more, and asks once all is committed. */
    :: atomic { up[n] && (order ? [eval(n), _] || order ? [eval(n + NODES), _]) -> order ? k, revision;
        if
        :: OWNS(n) && k == ID(n) && !cut[n] && revision == kRevision[n] && replayEnd[n] > 0 && (kInSync[n] & BIT(ID(1))) ->
            handOver[n] = ID(1);
            printf("node %d begins to hand over to node 1\n", n)
        :: else
        fi;
        k = 0; revision = 0 }
    :: atomic { MAY_ASK(n) && handOver[n] != NONE && !asked[n] && granted[n] == 0 && committed[n] == last[n] &&
            HELD_BY(n, handOver[n]) == last[n] ->
        ask ! ID(n), hand, handOver[n], kRevision[n]; asked[n] = true }
    /* Its patience ends: it serves on, whatever becomes of what it has asked for. */
    :: atomic { handOver[n] != NONE && asked[n] -> handOver[n] = NONE; asked[n] = false }
    od
}

/* ---- The follower ---- */

inline take_followed() {
    if
    :: kind == snapshot ->
        fEpoch = e; fLast = end; fSet = content; fWhole = true
    :: kind == entries && base <= (fEpoch == e -> fLast : 0) ->
        for (i : (fEpoch == e -> fLast : 0) + 1 .. end) {
            promise_no_gap(e, i, content);
            if
#ifdef MUTANT_KEEPS_WHAT_IS_VOID
            :: i == 1 -> fWhole = false
#else
            :: i == 1 -> fSet = 0; fWhole = false
#endif
            :: else -> fSet = fSet | BIT(ENTRY(content, i) - 1)
            fi;
            fEpoch = e; fLast = i
        }
        i = 0;
        if
        :: ends && fEpoch == e -> fWhole = true
        :: else
        fi
    :: else
    fi;
    printf("the follower is at %d of epoch %d: its set is %d\n", fLast, fEpoch, fSet);
    promise_the_set_equals(NODE(from))
}

proctype Follower() {
    byte i, from, e, base, end;
    short content;
    mtype kind;
    bool ends;
end_following:
    do
    :: atomic { leader != NONE && (fKnows < cEpoch) -> fKnows = cEpoch; fOwner = cOwner }
    :: atomic { toFollower ? from, e, kind, base, end, content, ends ->
        if
        :: e == fKnows && from == fOwner && !cut[NODE(from)] -> take_followed()
        :: else
        fi;
        from = 0; e = 0; kind = 0; base = 0; end = 0; content = 0; ends = false }
    od
}

/* ---- Routers and the coordinator ---- */

#define LEADS(r) (leader == r && !paused[r])
#define MAY_PLAN(r) (LEADS(r) && !storing[r])
#ifdef MUTANT_PROMOTES_ANYBODY
#define IS_CANDIDATE(i) (NODE(i) != NODE(cOwner) && LIVES(i))
#else
#define IS_CANDIDATE(i) (cInSync & BIT(i))
#endif
#define MAY_PROMOTE(r, i) (MAY_PLAN(r) && IS_DOWN(cOwner) && IS_CANDIDATE(i) && !IS_DOWN(i))
/* Nobody in sync is left: every member has to be back before the most advanced whole copy is taken. */
#define IS_MEMBER(n) (NODE(cOwner) == n || (cInSync & (BIT(n) | BIT(n + NODES))))
#define IS_BACK(n) (!IS_MEMBER(n) || IS_UP(n) && !IS_DOWN(ID(n)))
#define PLACE(n) (IS_MEMBER(n) && whole[n] -> 16 * epoch[n] + last[n] : 0)
#if NODES > 2
#define FURTHEST(n) (PLACE(n) >= PLACE(0) && PLACE(n) >= PLACE(1) && PLACE(n) >= PLACE(2))
#else
#define FURTHEST(n) (PLACE(n) >= PLACE(0) && PLACE(n) >= PLACE(1))
#endif
#define MAY_RESTART(r, n) (MAY_PLAN(r) && IS_DOWN(cOwner) && !(cInSync & ~down) && ALL_NODES(IS_BACK) \
    && PLACE(n) > 0 && FURTHEST(n))
#define MAY_FIND_DOWN(r, i) (LEADS(r) && !IS_DOWN(i) && IS_FAULTY(i) && (cOwner == i || (cInSync & BIT(i))))
/* It is heard again. */
#define MAY_FIND_UP(r, i) (LEADS(r) && IS_DOWN(i) && LIVES(i) && !cut[NODE(i)])
/* They have not come back within the grace: any node that is there may begin anew. */
#define MAY_GIVE_UP(r, n) (MAY_LOSE && MAY_PLAN(r) && IS_DOWN(cOwner) && !(cInSync & ~down) && IS_UP(n) && !IS_DOWN(ID(n)))
/* A live owner that knows what is stored, and that no store under way deposes. */
#define MAY_LEASE(r, n) (LEADS(r) && IS_UP(n) && !lease[n] && cOwner == ID(n) && kRevision[n] == cRevision \
    && WAITED_FOR(n) == 0 && !IS_DOWN(ID(n)) && !(storing[r] && sOwner[r] != ID(n)))

inline plan(r, nextEpoch, nextOwner, nextInSync) {
    storing[r] = true; sTerm[r] = cTerm; sExpected[r] = cRevision;
    sEpoch[r] = nextEpoch; sOwner[r] = nextOwner; sInSync[r] = nextInSync;
    printf("router %d asks to store: epoch %d, owner node %d, in sync %d\n", r, nextEpoch, NODE(nextOwner), nextInSync)
}

inline answer(r) {
    ask ? from, kind, who, revision;
    if
    :: revision != cRevision || from != cOwner || IS_DOWN(from) -> skip
    :: revision == cRevision && from == cOwner && !IS_DOWN(from) ->
        if
        :: kind == remove -> plan(r, cEpoch, cOwner, cInSync & ~BIT(who))
        :: kind == add && !IS_DOWN(who) -> plan(r, cEpoch, cOwner, cInSync | BIT(who))
        :: kind == hand && (cInSync & BIT(who)) && !IS_DOWN(who) && wish == NODE(who) ->
            /* The former owner stays in sync: it has everything that was acknowledged. */
            plan(r, cEpoch + 1, who, (cInSync & ~BIT(who)) | BIT(cOwner))
        :: else
        fi
    fi;
    from = 0; kind = 0; who = 0; revision = 0
}

inline store(r) {
    if
    :: sTerm[r] == cTerm && sExpected[r] == cRevision ->
        cRevision = cRevision + 1; cEpoch = sEpoch[r]; cOwner = sOwner[r]; cInSync = sInSync[r];
        printf("the coordinator stores: epoch %d, owner node %d, in sync %d\n", cEpoch, NODE(cOwner), cInSync);
        if
        :: wish == NODE(cOwner) -> wish = NONE
        :: else
        fi
    :: else -> printf("the coordinator refuses router %d\n", r)
    fi;
    storing[r] = false; sTerm[r] = 0; sExpected[r] = 0; sEpoch[r] = 0; sOwner[r] = 0; sInSync[r] = 0
}

#define FIND_DOWN(i) :: atomic { MAY_FIND_DOWN(r, i) -> \
        printf("router %d finds node %d down\n", r, NODE(i)); \
        /* It was silent for so long that its lease is over. */ \
        down = down | BIT(i); if :: LIVES(i) -> lease[NODE(i)] = false :: else fi }
#define FIND_UP(i) :: atomic { MAY_FIND_UP(r, i) -> down = down & ~BIT(i) }
#define PROMOTE(i) :: atomic { MAY_PROMOTE(r, i) -> plan(r, cEpoch + 1, i, cInSync & ~BIT(i) & ~down) }
#define RESTART(n) :: atomic { MAY_RESTART(r, n) -> plan(r, cEpoch + 1, ID(n), 0) }
#define GIVE_UP(n) :: atomic { MAY_GIVE_UP(r, n) -> plan(r, cEpoch + 1, ID(n), 0) }
#define TAKE_OUT(i) :: atomic { MAY_PLAN(r) && !IS_DOWN(cOwner) && IS_DOWN(i) && (cInSync & BIT(i)) -> \
        plan(r, cEpoch, cOwner, cInSync & ~BIT(i)) }
#define LEASE(n) :: atomic { MAY_LEASE(r, n) -> lease[n] = true; printf("router %d grants node %d a lease\n", r, n) }

proctype Router(byte r) {
    byte from, who, revision;
    mtype kind;
end_leading:
    do
    :: atomic { leader != r && !paused[r] && (leader == NONE || paused[leader]) ->
        leader = r; cTerm = cTerm + 1; down = 0;
        printf("router %d leads in term %d\n", r, cTerm) }
    EACH_LIFE(FIND_DOWN)
    EACH_LIFE(FIND_UP)
    EACH_LIFE(PROMOTE)
    EACH_NODE(RESTART)
    EACH_NODE(GIVE_UP)
    EACH_LIFE(TAKE_OUT)
    EACH_NODE(LEASE)
    :: atomic { MAY_PLAN(r) && len(ask) > 0 -> answer(r) }
    :: atomic { MAY_PLAN(r) && wish != NONE && len(order) == 0 && cOwner != ID(wish) && (cInSync & BIT(ID(wish))) &&
            !IS_DOWN(ID(wish)) && !IS_DOWN(cOwner) && LIVES(cOwner) && kRevision[NODE(cOwner)] == cRevision &&
            handOver[NODE(cOwner)] == NONE && len(ask) == 0 && replayEnd[NODE(cOwner)] > 0 -> order ! cOwner, cRevision }
    /* The coordinator gets it, whatever has become of the router. */
    :: atomic { storing[r] -> store(r) }
    od
}

/* ---- Faults ---- */

#define OTHER_HAS_IT(m) (m != n && IS_UP(m) && (cOwner == ID(m) || (cInSync & BIT(ID(m)))))
#if NODES > 2
#define ANOTHER_MEMBER_LIVES (OTHER_HAS_IT(0) || OTHER_HAS_IT(1) || OTHER_HAS_IT(2))
#else
#define ANOTHER_MEMBER_LIVES (OTHER_HAS_IT(0) || OTHER_HAS_IT(1))
#endif

inline end_process(n) {
    up[n] = false; forget_ownership(n); kEpoch[n] = 0; kRevision[n] = 0; kOwner[n] = NONE; kInSync[n] = 0;
    if
    :: len(toStandby[n]) > 0 -> toStandby[n] ? _, _, _, _, _, _, _
    :: len(toStandby[n]) == 0
    fi;
    if
    :: len(follow[n]) > 0 -> follow[n] ? _, _, _, _, _
    :: len(follow[n]) == 0
    fi
}

/* What may befall a node. */
proctype Misfortune(byte n) {
    byte i;
end_misfortune:
    do
    :: atomic { crashes > 0 && up[n] && life[n] == 0 -> crashes--; end_process(n); printf("node %d crashes\n", n) }
    :: atomic { wipes > 0 && up[n] && life[n] == 0 && ANOTHER_MEMBER_LIVES -> wipes--; end_process(n);
        list[n] = 0; restated[n] = 0; epoch[n] = 0; last[n] = 0; replayEnd[n] = 0; whole[n] = false;
        printf("node %d crashes and loses its disk\n", n) }
    :: atomic { !up[n] -> up[n] = true; life[n] = 1; printf("node %d is back\n", n) }
    :: atomic { cuts > 0 && IS_UP(n) -> cuts--; cut[n] = true; printf("node %d is cut off\n", n) }
    :: atomic { cut[n] -> cut[n] = false; printf("node %d is connected again\n", n) }
    :: atomic { losses > 0 && len(toStandby[n]) > 0 -> losses--; toStandby[n] ? _, _, _, _, _, _, _;
        printf("entries for node %d are lost\n", n) }
    :: atomic { losses > 0 && len(follow[n]) > 0 -> losses--; follow[n] ? _, _, _, _, _;
        printf("an answer of node %d is lost\n", n) }
    od
}

proctype OtherMisfortune() {
end_misfortune:
    do
    :: atomic { losses > 0 && len(toFollower) > 0 -> losses--; toFollower ? _, _, _, _, _, _, _ }
    :: atomic { losses > 0 && len(ask) > 0 -> losses--; ask ? _, _, _, _ }
    :: atomic { losses > 0 && len(order) > 0 -> losses--; order ? _, _ }
    :: atomic { routerPauses > 0 && leader != NONE && !paused[leader] -> routerPauses--; paused[leader] = true;
        printf("router %d is stopped\n", leader) }
    :: atomic { paused[0] -> paused[0] = false; printf("router 0 wakes\n") }
    :: atomic { paused[1] -> paused[1] = false; printf("router 1 wakes\n") }
    :: atomic { moves > 0 && leader != NONE && cOwner != ID(1) -> moves--; wish = 1;
        printf("an operator moves the domain to node 1\n") }
    /* What cannot be fulfilled any more, or is. */
    :: atomic { wish != NONE && (!LIVES(ID(wish)) || cut[wish] || NODE(cOwner) == wish) -> wish = NONE }
    od
}

init {
    byte n;
    atomic {
        for (n : 0 .. NODES - 1) { run Registrar(n); run Misfortune(n) }
        n = 0;
        run Router(0);
#if ROUTER_PAUSES > 0
        run Router(1);
#endif
#if FOLLOWED
        run Follower();
#endif
        run OtherMisfortune()
    }
}

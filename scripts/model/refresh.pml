/* refresh.pml -- the refresh-token protocol: rows 2 to 8 of the decision table in server/sessions/doc.go.
 * Rows 0, 0b, 1 and 7, expiry and epochs are not modeled. check.sh runs the cases and names the invariant (I1 ...) of each.
 *
 * Time and generations are UNBOUNDED here: everything is kept relative.  A token is its lag behind the row
 * (0 = current, 1 = generation-1, 2 = older), `tage` is the true time since the current generation was born
 * (saturating), `rsk` = rotated_at - true birth (the rotator's clock error, |rsk| <= H = M/2).
 * So a finished search is a proof for every run length, with NS requests in flight at a time.
 *
 * One statement = one d_step (the database is linearizable).  `now` of a replica = database clock + nr.
 *   SPLIT=0: decision and statement in one step, nr chosen freely in [-H,H] (= what the clock guard leaves).
 *   SPLIT=1: first read now + row (st 1->2), ticks may pass (nr shrinks), other statements may run, then the
 *            guarded statement: generation unchanged, live, |nr| <= H; else 0 rows, and back to st 1.
 * 503, crash, commit unknown, lost packets: all are "the request, or the response, is lost". A request that was
 * delayed, even by a stopped process, is lost too: the server answers it 503, which bounds Q.
 */
#ifndef W
#define W 6            /* rotation interval, grace */
#endif
#ifndef M
#define M 2            /* margin; clock guard is M/2 */
#endif
#ifndef H
#define H (M/2)        /* clock error of a replica against the database, each way */
#endif
#define INF 99
#ifndef NS
#define NS 3           /* requests + answers in flight at a time */
#endif
#ifndef TABS
#define TABS 2         /* tabs on ONE cookie jar */
#endif
#ifndef Q
#define Q 2            /* sent -> decided: at most Q ticks, abandoned or not (else the request is lost) */
#endif
#ifndef P
#define P 1            /* decided -> Set-Cookie applied: at most P ticks (else never) */
#endif
#ifndef R
#define R 2            /* recovery time, see OBL */
#endif
#ifndef OBL
#define OBL 2          /* 0: client owes nothing.  1: each refresh call gets a 200 within R of its first sending.
                          2: the first answer with the new generation is in the jar within R of the rotation */
#endif
#ifndef TC
#define TC INF         /* client time-out per request, from sending (abort: its answer is not applied) */
#endif
#ifndef LOSS
#define LOSS 1         /* requests and answers may be lost */
#endif
#ifndef ABANDON
#define ABANDON 1      /* a tab may give a request up at any time and retry */
#endif
#ifndef CONN
#define CONN 0         /* 1: the server always notices that an abandoned caller is gone (row 6 suppressed) */
#endif
#ifndef ATT
#define ATT 0          /* Refresh-Attempt: 0 none, 1 new for each refresh call of each tab,
                          2 shared by the jar, kept until an answer brings a newer generation,
                          3 one per session */
#endif
#ifndef THIEF
#define THIEF 0        /* copies the jar's token once, at any time; then presents any of its tokens, at any time */
#endif
#ifndef LOGOUT
#define LOGOUT 0
#endif
#ifndef SPLIT
#define SPLIT 0
#endif
#ifndef SAME
#define SAME 0         /* 1: a retry may present the same token again instead of the jar's */
#endif
#ifndef SEP
#define SEP 0          /* honest and thief present more than W+M apart (for "eventually dead") */
#endif
#ifndef STRICT
#define STRICT 0       /* W=0 profile: rows 4 and 5 gone.  1: row 3 looks at no clock.  2: it keeps age >= 0 */
#endif
#ifndef CHK6
#define CHK6 (!THIEF && !LOGOUT)   /* assert I6: no row 6 without a thief */
#endif
/* mutants of the protocol */
#ifndef MUT
#define MUT 0          /* 1 row 4 sets cookies  2 grace before the revoked check  3 rotate at age >= W
                          4 row 5 mints a sibling  5 UPDATE without generation=:gen  6 statement without clock guard
                          7 row 6 for -M <= age dropped (row 5 asks 0 <= age)
                          8 attempt NULL matches NULL  10 row 6 answers 401 but does not revoke  11 never rotates */
#endif
#ifndef CHECK_BACK
#define CHECK_BACK 0   /* 1: also assert that no Set-Cookie puts an older token into the jar */
#endif
#ifndef EV
#define EV 0           /* 1: keep the kind of the last step, for LTL */
#endif

#if MUT==3
#define ROT W
#elif MUT==11
#define ROT 99
#else
#define ROT (W+M)
#endif
#define CAP (W+2*M+2*H+1)
#define FAR (W+M+1)

typedef slot { byte st;   /* 0 free, 1 request on its way, 2 now and row read (SPLIT), 3 answer on its way */
  byte own;               /* 0,1 tab, 2 thief */
  byte lag; byte att; byte t; byte p; byte dec; short nr;
  bit ab; bit setc; bit ok; bit post; bit chg }
slot s[NS];
byte tage, ptage, ratt;   /* row: age of this generation and of the one before (ghost), attempt of the rotation */
short rsk;
byte minted = 1;          /* different tokens of the current generation (ghost) */
bit dead, acked, rec;     /* revoked; logout acknowledged; the jar has had the current token (ghost) */
byte jar, jatt;
typedef tab { bit busy; byte out; byte since; byte att; byte lag; bit chgd }
tab c[TABS];
bit stolen, th[3];
byte last, gap, alt;      /* SEP ghosts */
byte ev;
#ifdef VIS
short age, k, f, u;        /* scratch; visible only for breadth-first search (shortest traces) */
#else
hidden short age, k, f, u; /* scratch, used inside one d_step */
#endif
#define SETEV(x) ev = (EV -> x : 0)
#define E_TICK 1
#define E_ROT 2
#define E_OK 3
#define E_H 4
#define E_T 5
#define UP(x) x = (x < 2 -> x+1 : 2)
#define FREE(i) s[i].st=0; s[i].own=0; s[i].lag=0; s[i].att=0; s[i].t=0; s[i].p=0; s[i].dec=0; s[i].nr=0; \
  s[i].ab=0; s[i].setc=0; s[i].ok=0; s[i].post=0; s[i].chg=0
#define GO (!dead || LOGOUT)

inline freeslot() { f = 0; do :: f < NS && s[f].st != 0 -> f++ :: else -> break od }
#if SEP
#define ROOM (s[0].st==0 && s[1].st==0)   /* SEP runs: NS=2, one request at a time */
#elif NS==2
#define ROOM (s[0].st==0 || s[1].st==0)
#elif NS==3
#define ROOM (s[0].st==0 || s[1].st==0 || s[2].st==0)
#else
#define ROOM (s[0].st==0 || s[1].st==0 || s[2].st==0 || s[3].st==0)
#endif

/* smallest attempt id that is no longer in use */
inline newatt(xx) {
  xx = 1;
  do
  :: u = (ratt == xx) || (jatt == xx);
     k = 0; do :: k < NS -> u = u || (s[k].st != 0 && s[k].att == xx); k++ :: else -> break od;
     k = 0; do :: k < TABS -> u = u || (c[k].busy && c[k].att == xx); k++ :: else -> break od;
     if :: u -> xx++ :: else -> break fi
  od }

inline rotate(xi, xn) {
  k = 0; do :: k < NS -> if :: s[k].st != 0 && k != xi -> UP(s[k].lag); s[k].chg = (SPLIT && s[k].st==2) :: else fi; k++ :: else -> break od;
  UP(jar); k = 0; do :: k < TABS -> if :: c[k].busy && SAME -> UP(c[k].lag) :: else fi; k++ :: else -> break od;
  th[2] = th[2] || th[1]; th[1] = th[0]; th[0] = 0;
  ptage = tage; tage = 0; rsk = xn; ratt = s[xi].att; rec = 0; minted = 1 }

/* the decision table: the row for a request xi on a replica whose clock differs by xn from the database's */
inline table(xi, xn) {
  age = tage + xn - rsk;
  if
  :: dead && !(MUT==2 && s[xi].lag==1) -> s[xi].dec = 2
  :: else ->
    if
    :: STRICT==1 -> s[xi].dec = (s[xi].lag==0 -> 3 : 6)
    :: STRICT==2 -> s[xi].dec = (s[xi].lag==0 -> (age >= 0 -> 3 : 9) : 6)
    :: !STRICT && s[xi].lag==0 && age >= ROT -> s[xi].dec = 3
    :: !STRICT && s[xi].lag==0 && age <  ROT -> s[xi].dec = 4
    :: !STRICT && s[xi].lag==1 && ((age >= (MUT==7 -> 0 : -M) && age <= W) || (ATT && s[xi].att==ratt && (ratt!=0 || MUT==8)))
         -> s[xi].dec = 5
    :: else -> s[xi].dec = (!STRICT && age < -M -> 8 : 6)
    fi
  fi }

inline answer(xi, set) { s[xi].st = 3; s[xi].ok = 1; s[xi].setc = set; s[xi].p = 0; s[xi].nr = 0; s[xi].chg = 0;
  assert(!s[xi].post);                                                              /* I3 */
  if :: SEP && stolen ->
     if :: last != 1 + (s[xi].own==2) -> alt++ :: else fi;
     last = 1 + (s[xi].own==2); gap = 0;
     assert(alt <= 3)                                                              /* I7b */
  :: else fi }

inline act(xi, xn) {
  age = tage + xn - rsk;
  SETEV((s[xi].own==2 -> E_T : E_H));
  if
  :: s[xi].dec == 2 -> printf("  #%d decided: row 2, 401 session_revoked\n", xi); s[xi].st = 3; s[xi].ok = 0; s[xi].setc = 0
  :: s[xi].dec == 3 ->
       assert(s[xi].lag == 0);                                                      /* I1, I2: a generation is born once */
       printf("  #%d decided: row 3 (now %d, age %d), 200 NEXT GENERATION, Set-Cookie\n", xi, xn, age);
       rotate(xi, xn); SETEV(E_ROT); s[xi].lag = 0; answer(xi, 1)
  :: s[xi].dec == 4 ->
       assert(s[xi].lag == 0 && (MUT==11 || tage < W+M+2*H));                       /* I2, I15 */
       printf("  #%d decided: row 4 (now %d, age %d), 200 same tokens, no cookie\n", xi, xn, age);
       answer(xi, (MUT==1))
  :: s[xi].dec == 5 ->
       printf("  #%d decided: row 5 (now %d, age %d, true %d), 200 current tokens, Set-Cookie\n", xi, xn, age, tage);
       assert(s[xi].lag == 1);                                                      /* I2 */
       if :: MUT==4 -> minted++ :: else fi;
       assert(minted <= 1);                                                         /* I1: one token a generation */
       assert(tage <= W+M || (ATT && s[xi].att != 0 && s[xi].att == ratt));          /* I7a */
       s[xi].lag = 0; answer(xi, 1)
  :: s[xi].dec == 6 ->
       if
       :: CONN && s[xi].ab -> FREE(xi)
       :: !(CONN && s[xi].ab) && MUT==10 -> s[xi].st = 3; s[xi].ok = 0; s[xi].setc = 0
       :: else ->
          printf("  #%d decided: row 6 (lag %d, now %d, age %d, true %d) REUSED, family dead\n", xi, s[xi].lag, xn, age, tage);
          assert(!CHK6 || stolen);                                                          /* I6: no false alarm */
          dead = 1; s[xi].st = 3; s[xi].ok = 0; s[xi].setc = 0
       fi
  :: s[xi].dec == 8 -> printf("  #%d decided: row 8 (now %d, age %d), 503\n", xi, xn, age); s[xi].st = 3; s[xi].ok = 0; s[xi].setc = 0
  :: s[xi].dec == 9 -> assert(0)                                                    /* no row of the table fits */
  fi;
  s[xi].dec = 0; s[xi].nr = 0; s[xi].chg = 0 }

#ifdef TABLE
/* prints every decision: revoked, generations behind, age, attempt of the request and of the rotation (0 none), row */
init {
  short a = -2*M;
  do
  :: a > W+2*M -> break
  :: else ->
     rsk = -a; dead = 0; s[0].lag = 0; s[0].att = 0; ratt = 0;
     do
     :: table(0, 0); printf("%d %d %d %d %d %d\n", dead, s[0].lag, a, s[0].att, ratt, s[0].dec); s[0].dec = 0;
        if
        :: ratt == 0 -> ratt = 1
        :: ratt == 1 && s[0].att < 2 -> ratt = 0; s[0].att++
        :: ratt == 1 && s[0].att == 2 && s[0].lag < 2 -> ratt = 0; s[0].att = 0; s[0].lag++
        :: ratt == 1 && s[0].att == 2 && s[0].lag == 2 && !dead -> ratt = 0; s[0].att = 0; s[0].lag = 0; dead = 1
        :: else -> break
        fi
     od;
     a++
  od }
#else
#define DECIDE(n) :: d_step { !SPLIT && GO && s[me].st==1 -> table(me, n); act(me, n) }
#define READ(n)   :: d_step { SPLIT && GO && s[me].st==1 -> s[me].nr = n; s[me].chg = 0; table(me, n); \
    printf("  #%d reads now %d and the row: row %d\n", me, n, s[me].dec); \
    if :: s[me].dec==2 -> act(me, n) :: else -> s[me].st = 2 fi }
#define OKCLOCK(i) (MUT==6 || (s[i].nr <= H && s[i].nr >= -H))
#define OKGEN(i)   (MUT==5 || (!s[i].chg && !dead))

active [NS] proctype Slot() { byte me; me = _pid;
  do
  DECIDE(0)
  DECIDE(H)
  DECIDE(-H)
  READ(0)
  READ(H)
  READ(-H)
  :: d_step { SPLIT && GO && s[me].st==2 ->                        /* the guarded statement */
       if :: OKCLOCK(me) && OKGEN(me) -> act(me, s[me].nr)
          :: else -> s[me].st = 1; s[me].dec = 0; s[me].nr = 0; s[me].chg = 0; printf("  #%d: 0 rows, again\n", me)
       fi }
  /* lost */
  :: d_step { GO && LOSS && s[me].st != 0 && s[me].st != 2 && s[me].own < 2 && !s[me].ab ->
       printf("  #%d lost on the way (answer=%d, tab %d)\n", me, s[me].st==3, s[me].own+1);
       c[s[me].own].out = 0; FREE(me); SETEV(0) }
  :: d_step { GO && s[me].st != 0 && (s[me].own == 2 || s[me].ab) && (LOSS || s[me].st==3) ->
       printf("  #%d dies\n", me); FREE(me); SETEV(0) }
  /* answer reaches the thief */
  :: d_step { s[me].st==3 && s[me].own==2 ->
       if :: s[me].ok -> if :: SEP -> th[0]=0; th[1]=0; th[2]=0 :: else fi; th[s[me].lag] = 1 :: else fi;
       printf("  #%d thief gets his answer\n", me); FREE(me); SETEV(0) }
  /* answer reaches the browser */
  :: d_step { s[me].st==3 && s[me].own<2 && !s[me].ab ->
       printf("  #%d answer applied by tab %d: 200=%d, jar lag %d -> %d\n", me, s[me].own+1,
          s[me].ok, jar, (s[me].setc -> s[me].lag : jar));
       c[s[me].own].out = 0;
       if
       :: s[me].ok ->
          if :: s[me].setc ->
                assert(!CHECK_BACK || s[me].lag <= jar);
                if :: s[me].lag < jar -> jatt = 0 :: else fi;
                jar = s[me].lag; if :: jar == 0 -> rec = 1 :: else fi
             :: else fi;
          c[s[me].own].busy = 0; c[s[me].own].since = 0; c[s[me].own].att = 0; c[s[me].own].lag = 0; SETEV(E_OK)
       :: else -> c[s[me].own].busy = 0; c[s[me].own].since = 0; c[s[me].own].att = 0; c[s[me].own].lag = 0; SETEV(0)
       fi; FREE(me) }
  od }

inline send(xo, xl, xa) { freeslot(); s[f].st = 1; s[f].own = xo; s[f].lag = xl; s[f].att = xa; s[f].post = acked }

active [TABS] proctype Tab() { byte me; me = _pid - NS;
  do
  :: d_step { GO && !c[me].busy && ROOM && (!SEP || last != 2 || gap >= FAR) ->
       c[me].busy = 1; c[me].since = 0;
       if :: ATT==0 -> c[me].att = 0
          :: ATT==1 -> c[me].att = 0; newatt(f); c[me].att = f
          :: ATT==2 -> if :: jatt==0 -> newatt(f); jatt = f :: else fi; c[me].att = jatt
          :: ATT==3 -> c[me].att = 1
       fi;
       if :: SAME -> c[me].lag = jar :: else fi;
       send(me, jar, c[me].att); c[me].out = f+1; SETEV(0);
       printf("  tab %d sends #%d with its jar's token (lag %d, attempt %d)\n", me+1, f, jar, c[me].att) }
  :: d_step { GO && ABANDON && c[me].busy && c[me].out != 0 && s[c[me].out-1].st != 0 ->
       f = c[me].out-1; printf("  tab %d abandons #%d\n", me+1, f);
       c[me].out = 0; s[f].ab = 1; SETEV(0);
       if :: s[f].st == 3 -> FREE(f) :: else fi }                   /* an aborted answer is not applied */
  :: d_step { GO && c[me].busy && c[me].out == 0 && ROOM && (!SEP || last != 2 || gap >= FAR) ->
       if :: ATT==2 -> if :: jatt==0 -> newatt(f); jatt = f :: else fi; c[me].att = jatt :: else fi;
       send(me, jar, c[me].att); c[me].out = f+1; SETEV(0);
       printf("  tab %d retries: #%d with its jar's token (lag %d, attempt %d)\n", me+1, f, jar, c[me].att) }
  :: d_step { SAME && GO && c[me].busy && c[me].out == 0 && ROOM && c[me].lag != jar ->
       send(me, c[me].lag, c[me].att); c[me].out = f+1; SETEV(0);
       printf("  tab %d retries: #%d with the same token (lag %d)\n", me+1, f, c[me].lag) }
  od }

#if THIEF
active proctype Thief() {
  do
  :: d_step { GO && !stolen && jar < 2 -> stolen = 1; th[jar] = 1; SETEV(0); printf("  thief copies the jar (lag %d)\n", jar) }
  :: d_step { GO && stolen && th[0] && ROOM && (!SEP || last != 1 || gap >= FAR) -> send(2, 0, 0); SETEV(0); printf("  thief sends #%d lag 0\n", f) }
  :: d_step { GO && stolen && th[1] && ROOM && (!SEP || last != 1 || gap >= FAR) -> send(2, 1, 0); SETEV(0); printf("  thief sends #%d lag 1\n", f) }
  :: d_step { GO && stolen && th[2] && ROOM && (!SEP || last != 1 || gap >= FAR) -> send(2, 2, 0); SETEV(0); printf("  thief sends #%d lag 2\n", f) }
  od }
#endif

#if LOGOUT
active proctype Logout() {
  d_step { dead = 1; printf("  logout commits\n") }
  d_step { acked = 1; printf("  logout acknowledged\n") }
}
#endif

/* no message may outlive its bound, no obligation may be missed: otherwise time stops, which ends the run */
#define MAY(i) (s[i].st==0 \
  || (s[i].st<3 && (Q==INF || s[i].t < Q) && (s[i].ab || TC==INF || s[i].own==2 || s[i].t < TC)) \
  || (s[i].st==3 && (P==INF || s[i].p < P) && (s[i].ab || TC==INF || s[i].own==2 || s[i].t < TC)))
#define MAYC(i) (OBL != 1 || !c[i].busy || c[i].since < R)
#if NS==2
#define MAYS (MAY(0) && MAY(1))
#elif NS==3
#define MAYS (MAY(0) && MAY(1) && MAY(2))
#else
#define MAYS (MAY(0) && MAY(1) && MAY(2) && MAY(3))
#endif
#if TABS==1
#define MAYCS MAYC(0)
#else
#define MAYCS (MAYC(0) && MAYC(1))
#endif
active proctype Clock() {
  do
  :: d_step { GO && MAYS && MAYCS && (OBL != 2 || rec || jar == 0 || tage < R) ->
       printf("  tick\n");
       tage = (tage < CAP -> tage+1 : CAP); ptage = (ptage < CAP -> ptage+1 : CAP);
       if :: SEP -> gap = (gap < FAR -> gap+1 : FAR) :: else fi;
       k = 0; do
       :: k < NS ->
          if :: s[k].st == 0
             :: s[k].st != 0 ->
                if :: (s[k].st < 3 && Q != INF) || (TC != INF && !s[k].ab && s[k].own<2) -> s[k].t++ :: else fi;
                if :: s[k].st == 3 && P != INF -> s[k].p++ :: else fi;
                if :: s[k].st == 2 -> s[k].nr = (s[k].nr > -W-M-1 -> s[k].nr-1 : s[k].nr) :: else fi
          fi; k++
       :: else -> break od;
       k = 0; do :: k < TABS -> if :: c[k].busy && OBL==1 -> c[k].since++ :: else fi; k++ :: else -> break od;
       SETEV(E_TICK) }
  od }

#ifdef LTL15
ltl i15 { (([]<> (ev==E_OK)) && ([]<> (ev==E_TICK))) -> ([]<> (ev==E_ROT)) }
#endif
#ifdef LTL7
ltl i7 { (([]<> (ev==E_H)) && (<>[] stolen) && ([]<> (ev==E_T))) -> (<> dead) }
#endif
#endif

package server

import (
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gin-gonic/gin"

	"example.com/accounts/api"
	"example.com/accounts/server/accounts"
	"example.com/accounts/server/config"
	"example.com/accounts/server/web"
)

// Options are the settings and dependencies of a Server.
type Options struct {
	Config  config.Config
	Service *accounts.Service
	Metrics *Metrics
	Log     *slog.Logger
	Now     func() time.Time
}

// Server implements the operations of the contract.
type Server struct {
	Options
	contract *contract
	settings cacheable            // the response of getSettings
	problems map[string]cacheable // the responses of listProblems, by language
	cookies  cookieNames
	cors     gin.HandlerFunc
	origins  *http.CrossOriginProtection
	loopback []string    // see loopbackOrigins
	draining atomic.Bool // set at the start of a shutdown; CheckReadiness then fails with 503

	unreadableHeader sync.Once
}

// New returns a server. Errors: the contract requires security that the server cannot enforce, or
// an origin in the settings is malformed.
func New(o Options) (*Server, error) {
	contract, err := loadContract(o.Config)
	if err != nil {
		return nil, err
	}
	origins, err := newOriginProtection(o.Config.PublicURL, o.Config.CORSOrigins)
	if err != nil {
		return nil, err
	}
	settings, err := publicSettings(o.Config, contract.version)
	if err != nil {
		return nil, err
	}
	problems, err := problemCatalogs()
	if err != nil {
		return nil, err
	}
	return &Server{
		Options: o, contract: contract, settings: settings, problems: problems, cookies: newCookieNames(o.Config), cors: newCORS(o.Config.CORSOrigins), origins: origins,
		loopback: loopbackOrigins(o.Config),
	}, nil
}

// Handler returns the routes and middleware, in the order in which a request passes them. It
// returns an error if a route is not in the contract or an operation of the contract has no route.
func (s *Server) Handler() (http.Handler, error) { return s.handler(handlers{s}) }

func (s *Server) handler(operations api.StrictServerInterface) (http.Handler, error) {
	gin.SetMode(gin.ReleaseMode)
	engine := gin.New()
	engine.ContextWithFallback = true // canceling the request cancels the context of its handler
	engine.HandleMethodNotAllowed = true
	engine.RedirectTrailingSlash = false
	engine.RedirectFixedPath = false
	// gin must not read proxy headers, because clientAddress does.
	engine.ForwardedByClientIP = false
	if err := engine.SetTrustedProxies(nil); err != nil {
		return nil, err
	}

	engine.Use(
		s.beginCall,              // request id, time, client address
		s.logAccess,              // one log line and the metrics, for every outcome
		s.recoverPanic,           // a panic is a 500 problem
		s.setSecurityHeaders,     // the security headers of every response
		s.allowCrossOriginReads,  // CORS: pages that may read responses
		s.rejectCrossOriginSends, // pages that may send unsafe requests
	)
	engine.NoRoute(func(c *gin.Context) { s.problem(c, problemOf(codeResourceNotFound)) })
	engine.NoMethod(func(c *gin.Context) { s.problem(c, problemOf(codeMethodNotAllowed)) })

	s.mountPages(engine)
	routes := engine.Group("",
		s.findOperation,
		s.decodeFirst, // before authentication if a token may be in the body
		s.authenticate,
		s.validate,
	)
	api.RegisterHandlersWithOptions(withHead{routes}, api.NewStrictHandlerWithOptions(operations, []api.StrictMiddlewareFunc{s.limitClient, copyContext}, api.StrictGinServerOptions{
		RequestErrorHandlerFunc:  s.problem,
		HandlerErrorFunc:         s.problem,
		ResponseErrorHandlerFunc: s.problem,
	}), api.GinServerOptions{
		ErrorHandler: func(c *gin.Context, err error, _ int) { s.problem(c, malformed(err)) },
	})
	return engine, s.contract.matches(engine.Routes())
}

// withHead routes HEAD to the handlers of GET (RFC 9110, section 9.3.2). Authentication,
// validation, limits and logging are the same, and net/http omits the body.
type withHead struct{ gin.IRouter }

func (r withHead) GET(path string, handlers ...gin.HandlerFunc) gin.IRoutes {
	r.HEAD(path, handlers...)
	return r.IRouter.GET(path, handlers...)
}

// mountPages adds the pages for people, which are not in the contract.
func (s *Server) mountPages(engine *gin.Engine) {
	fail := func(w http.ResponseWriter, r *http.Request, status int) {
		code := codeResourceNotFound
		if status == http.StatusMethodNotAllowed {
			code = codeMethodNotAllowed
		}
		s.writeProblem(w, callOf(r.Context()), problemOf(code))
	}
	mount := func(handler http.Handler, paths ...string) {
		for _, path := range paths {
			withHead{engine}.GET(path, gin.WrapH(handler))
		}
	}
	mount(web.Pages(fail), "/pages/*path")
	mount(web.Problems(problemPages(), fail), "/problems/*path") // always, because every error links to them
	if s.Config.Docs {
		mount(web.Docs(fail), "/docs", "/docs/*path")
	}
	if s.Config.Console {
		mount(web.Console(fail), "/console", "/console/*path")
	}
	// The demo is for trying the server on one's own machine. Elsewhere it would be one more front
	// end to protect.
	if s.Config.IsLoopback() {
		mount(web.Demo(fail), "/demo", "/demo/*path")
	}
}

// handlers implements the operations, with one file per tag.
type handlers struct{ *Server }

var _ api.StrictServerInterface = handlers{}

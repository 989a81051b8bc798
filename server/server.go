package server

import (
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/gin-gonic/gin"

	"example.com/accounts/api"
	"example.com/accounts/server/accounts"
	"example.com/accounts/server/config"
	"example.com/accounts/server/problem"
)

// Options are the settings and dependencies of a Server.
type Options struct {
	Config  config.Config
	Service *accounts.Service
	Metrics *Metrics
	Log     *slog.Logger
	Now     func() time.Time
}

// Server serves the operations of the contract and the pages. The steps that a request passes are
// listed in handler, in their order. Each step is a method of a type that has only what the step
// needs.
type Server struct {
	Options
	addresses *clientAddresses
	origins   *originPolicy
	contract  *contract
	cookies   cookieNames
	problems  *problemWriter
	settings  cacheable            // the response of getSettings
	catalogs  map[string]cacheable // the responses of listProblems, by language
	draining  atomic.Bool          // set at the start of a shutdown; CheckReadiness then fails with 503
}

// New returns a server. Errors: the contract requires security that the server cannot enforce, or
// an origin in the settings is malformed.
func New(o Options) (*Server, error) {
	problems := &problemWriter{publicURL: o.Config.PublicURL, log: o.Log}
	contract, err := loadContract(o.Config)
	if err != nil {
		return nil, err
	}
	origins, err := newOriginPolicy(o.Config, problems)
	if err != nil {
		return nil, err
	}
	settings, err := publicSettings(o.Config, contract.version)
	if err != nil {
		return nil, err
	}
	catalogs, err := problemCatalogs()
	if err != nil {
		return nil, err
	}
	return &Server{
		Options: o, addresses: newClientAddresses(o.Config, o.Log), origins: origins, contract: contract, cookies: newCookieNames(o.Config),
		problems: problems, settings: settings, catalogs: catalogs,
	}, nil
}

// Handler returns the routes and middleware, in the order in which a request passes them. It
// returns an error if a route is not in the contract or an operation of the contract has no route.
func (s *Server) Handler() (http.Handler, error) { return s.handler(s.newHandlers()) }

// newHandlers returns the handlers of all operations.
func (s *Server) newHandlers() handlers {
	return handlers{
		sessionHandlers{s.Service, s.cookies},
		registrationHandlers{s.Service, s.cookies},
		passwordHandlers{s.Service, s.cookies},
		profileHandlers{s.Service, s.cookies},
		adminHandlers{s.Service, s.cookies},
		systemHandlers{s.Service, s.settings, s.catalogs, s.contract, &s.draining},
	}
}

// handlers implements the operations, with one type and one file per tag.
type handlers struct {
	sessionHandlers
	registrationHandlers
	passwordHandlers
	profileHandlers
	adminHandlers
	systemHandlers
}

var _ api.StrictServerInterface = handlers{}

func (s *Server) handler(operations api.StrictServerInterface) (http.Handler, error) {
	engine, err := newEngine()
	if err != nil {
		return nil, err
	}
	calls := middleware{addresses: s.addresses, metrics: s.Metrics, log: s.Log, now: s.Now, isSecure: s.Config.IsSecure(), problems: s.problems}
	engine.Use(
		calls.beginCall,               // request id, time, client address
		calls.logAccess,               // one log line and the metrics, for every outcome
		calls.recoverPanic,            // a panic is a 500 problem
		calls.setSecurityHeaders,      // the security headers of every response
		s.origins.allowReads,          // CORS: pages that may read responses
		s.origins.rejectForeignWrites, // pages that may send unsafe requests
	)
	finder := operationFinder{s.contract, s.problems}
	engine.NoRoute(finder.rejectUnknown)
	engine.NoMethod(func(c *gin.Context) { s.problems.send(c, problemOf(problem.MethodNotAllowed)) })
	mountPages(engine, s.Config, s.problems)

	bodies := decoder{s.problems}
	routes := engine.Group("",
		finder.findOperation,
		bodies.decodeFirst, // before authentication if a token may be in the body
		authenticator{s.Service, s.cookies, s.problems}.authenticate,
		bodies.decodeRest, // the other bodies, after authentication
		validator{s.Service, s.problems}.validate,
	)
	around := []api.StrictMiddlewareFunc{clientLimiter{s.Service}.limitClient, copyContext} // a request passes the last one first
	strict := api.NewStrictHandlerWithOptions(operations, around, api.StrictGinServerOptions{
		RequestErrorHandlerFunc: s.problems.send, HandlerErrorFunc: s.problems.send, ResponseErrorHandlerFunc: s.problems.send,
	})
	api.RegisterHandlersWithOptions(withHead{routes}, strict, api.GinServerOptions{
		ErrorHandler: func(c *gin.Context, err error, _ int) { s.problems.send(c, malformed(err)) },
	})
	return engine, s.contract.checkRoutes(engine.Routes())
}

func newEngine() (*gin.Engine, error) {
	gin.SetMode(gin.ReleaseMode)
	engine := gin.New()
	engine.ContextWithFallback = true // canceling the request cancels the context of its handler
	engine.HandleMethodNotAllowed = true
	engine.RedirectTrailingSlash = false
	engine.RedirectFixedPath = false
	// gin must not read proxy headers, because clientAddresses does.
	engine.ForwardedByClientIP = false
	return engine, engine.SetTrustedProxies(nil)
}

// copyContext passes an operation a copy of gin's context. gin reuses its context for another
// request as soon as it has answered this one, while a database driver may still check whether the
// context has been canceled.
func copyContext(operation api.StrictHandlerFunc, _ string) api.StrictHandlerFunc {
	return func(c *gin.Context, request any) (any, error) { return operation(c.Copy(), request) }
}

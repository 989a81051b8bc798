// Built from server/web/console/src, server/web/parts and api/typescript/src by make web: change those.

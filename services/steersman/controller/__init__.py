"""The controller: fills the status of RoutingPolicy resources with what the routers do by them."""

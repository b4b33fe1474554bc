//! What is watched.

use k8s_openapi::api::{core::v1, discovery::v1::EndpointSlice, networking::v1::ServiceCIDR};
use kube::{api::ApiResource, runtime::watcher};

use crate::source::object::Kind;

/// A resource of the API that is watched.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Resource {
    /// All Services but headless ones and those of another proxy.
    Services,
    /// All EndpointSlices but those of headless Services.
    EndpointSlices,
    /// The Node of this agent.
    Node,
    /// The ranges that ClusterIPs are given out from. A server before Kubernetes 1.33 has none.
    ServiceCidrs,
}

impl Resource {
    /// Each of them.
    pub const ALL: [Self; 4] =
        [Self::Services, Self::EndpointSlices, Self::Node, Self::ServiceCidrs];

    /// Its name in the API, as metrics and messages have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Services => "services",
            Self::EndpointSlices => "endpointslices",
            Self::Node => "nodes",
            Self::ServiceCidrs => "servicecidrs",
        }
    }

    /// Whether there are servers without it, which serve all the same.
    pub(super) fn is_optional(self) -> bool {
        self == Self::ServiceCidrs
    }

    pub(super) fn kind(self) -> Kind {
        match self {
            Self::Services => Kind::Service,
            Self::EndpointSlices => Kind::EndpointSlice,
            Self::Node => Kind::Node,
            Self::ServiceCidrs => Kind::ServiceCidr,
        }
    }

    pub(super) fn api(self) -> ApiResource {
        match self {
            Self::Services => ApiResource::erase::<v1::Service>(&()),
            Self::EndpointSlices => ApiResource::erase::<EndpointSlice>(&()),
            Self::Node => ApiResource::erase::<v1::Node>(&()),
            Self::ServiceCidrs => ApiResource::erase::<ServiceCIDR>(&()),
        }
    }

    /// The objects of it that the agent of `node` needs, as kube-proxy selects them.
    pub(super) fn selected(self, node: &str) -> watcher::Config {
        let config = watcher::Config::default();
        match self {
            Self::Services => config
                .labels("!service.kubernetes.io/service-proxy-name")
                .fields("spec.clusterIP!=None"),
            Self::EndpointSlices => config.labels("!service.kubernetes.io/headless"),
            Self::Node => config.fields(&format!("metadata.name={node}")),
            Self::ServiceCidrs => config,
        }
    }
}

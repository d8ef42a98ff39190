// Reads a pointwise op struct at compile time: arity, attributes, and which derivative member each operand
// has. Included once plain (traits.hpp) and once per instruction set, because calling a formula on target
// lanes must happen in code compiled for that target. No include guard on purpose; needs row.hpp. Invariant:
// a derivative's name alone says what it saves: da_b reads operand b, df_y reads the output.

/// What a formula is called with when only its existence is asked; formulas return V by name, so no body is
/// compiled.
struct Probe {};

struct NoAttrs {};

template <class Op>
struct AttrsOf {
  using type = NoAttrs;
};
template <class Op>
requires requires { typename Op::Attrs; }
struct AttrsOf<Op> {
  using type = typename Op::Attrs;
};

// The name of every derivative a struct may have. A name cannot be a template argument, hence the only
// private macro of the project; each use makes one type that knows whether an op has that member and how to
// call it.
#define THALWEG_FORM(NAME, KIND, SAVED)                                   \
  struct Form_##NAME {                                                    \
    static constexpr DerivativeKind kind = DerivativeKind::KIND;          \
    static constexpr unsigned saved = SAVED;                              \
    template <class Op, class... Args>                                    \
    static constexpr bool accepts = requires(const Args&... args) {       \
      Op::NAME(args...);                                                  \
    };                                                                    \
    template <class Op, class... Args>                                    \
    [[gnu::always_inline]] static inline auto call(const Args&... args) { \
      return Op::NAME(args...);                                           \
    }                                                                     \
  };
// clang-format off
// One operand's names: PREFIX d.. are factors, g.. are products; the suffix bits of a, b and the output
// follow.
#define THALWEG_UNARY(D, G)                                                            \
  THALWEG_FORM(D, constant, 0) THALWEG_FORM(D##_x, factor, 1)                          \
  THALWEG_FORM(D##_y, factor, 8) THALWEG_FORM(D##_xy, factor, 9)                       \
  THALWEG_FORM(G, product, 0) THALWEG_FORM(G##_x, product, 1)                          \
  THALWEG_FORM(G##_y, product, 8) THALWEG_FORM(G##_xy, product, 9)
#define THALWEG_BINARY(D, G)                                                           \
  THALWEG_FORM(D, constant, 0) THALWEG_FORM(D##_a, factor, 1)                          \
  THALWEG_FORM(D##_b, factor, 2) THALWEG_FORM(D##_ab, factor, 3)                       \
  THALWEG_FORM(D##_y, factor, 8) THALWEG_FORM(D##_ay, factor, 9)                       \
  THALWEG_FORM(D##_by, factor, 10) THALWEG_FORM(D##_aby, factor, 11)                   \
  THALWEG_FORM(G, product, 0) THALWEG_FORM(G##_a, product, 1)                          \
  THALWEG_FORM(G##_b, product, 2) THALWEG_FORM(G##_ab, product, 3)                     \
  THALWEG_FORM(G##_y, product, 8) THALWEG_FORM(G##_ay, product, 9)                     \
  THALWEG_FORM(G##_by, product, 10) THALWEG_FORM(G##_aby, product, 11)
#define THALWEG_TERNARY(D, G)                                                          \
  THALWEG_FORM(D, constant, 0) THALWEG_FORM(D##_c, factor, 1)                          \
  THALWEG_FORM(D##_a, factor, 2) THALWEG_FORM(D##_ca, factor, 3)                       \
  THALWEG_FORM(D##_b, factor, 4) THALWEG_FORM(D##_cb, factor, 5)                       \
  THALWEG_FORM(D##_ab, factor, 6) THALWEG_FORM(D##_cab, factor, 7)                     \
  THALWEG_FORM(G, product, 0) THALWEG_FORM(G##_c, product, 1)                          \
  THALWEG_FORM(G##_a, product, 2) THALWEG_FORM(G##_ca, product, 3)                     \
  THALWEG_FORM(G##_b, product, 4) THALWEG_FORM(G##_cb, product, 5)                     \
  THALWEG_FORM(G##_ab, product, 6) THALWEG_FORM(G##_cab, product, 7)
// clang-format on

struct Form_none {
  static constexpr DerivativeKind kind = DerivativeKind::none;
  static constexpr unsigned saved = 0;
};

template <class... Forms>
struct FormList {};

template <int Arity, int Operand>
struct FormsOf;

struct UnaryForms {
  THALWEG_UNARY(df, gf)
};
struct BinaryForms {
  THALWEG_BINARY(da, ga)
  THALWEG_BINARY(db, gb)
};
struct TernaryForms {
  THALWEG_TERNARY(dc, gc)
  THALWEG_TERNARY(da, ga)
  THALWEG_TERNARY(db, gb)
};
#undef THALWEG_FORM
#undef THALWEG_UNARY
#undef THALWEG_BINARY
#undef THALWEG_TERNARY

template <>
struct FormsOf<1, 0> : UnaryForms {
  using list = FormList<Form_df, Form_df_x, Form_df_y, Form_df_xy, Form_gf, Form_gf_x, Form_gf_y, Form_gf_xy>;
};
template <>
struct FormsOf<2, 0> : BinaryForms {
  using list =
      FormList<Form_da, Form_da_a, Form_da_b, Form_da_ab, Form_da_y, Form_da_ay, Form_da_by, Form_da_aby,
               Form_ga, Form_ga_a, Form_ga_b, Form_ga_ab, Form_ga_y, Form_ga_ay, Form_ga_by, Form_ga_aby>;
};
template <>
struct FormsOf<2, 1> : BinaryForms {
  using list =
      FormList<Form_db, Form_db_a, Form_db_b, Form_db_ab, Form_db_y, Form_db_ay, Form_db_by, Form_db_aby,
               Form_gb, Form_gb_a, Form_gb_b, Form_gb_ab, Form_gb_y, Form_gb_ay, Form_gb_by, Form_gb_aby>;
};
template <>
struct FormsOf<3, 0> : TernaryForms {
  using list =
      FormList<Form_dc, Form_dc_c, Form_dc_a, Form_dc_ca, Form_dc_b, Form_dc_cb, Form_dc_ab, Form_dc_cab,
               Form_gc, Form_gc_c, Form_gc_a, Form_gc_ca, Form_gc_b, Form_gc_cb, Form_gc_ab, Form_gc_cab>;
};
template <>
struct FormsOf<3, 1> : TernaryForms {
  using list =
      FormList<Form_da, Form_da_c, Form_da_a, Form_da_ca, Form_da_b, Form_da_cb, Form_da_ab, Form_da_cab,
               Form_ga, Form_ga_c, Form_ga_a, Form_ga_ca, Form_ga_b, Form_ga_cb, Form_ga_ab, Form_ga_cab>;
};
template <>
struct FormsOf<3, 2> : TernaryForms {
  using list =
      FormList<Form_db, Form_db_c, Form_db_a, Form_db_ca, Form_db_b, Form_db_cb, Form_db_ab, Form_db_cab,
               Form_gb, Form_gb_c, Form_gb_a, Form_gb_ca, Form_gb_b, Form_gb_cb, Form_gb_ab, Form_gb_cab>;
};

constexpr int bit_count(unsigned bits) {
  int n = 0;
  for (; bits != 0; bits &= bits - 1) ++n;
  return n;
}

/// How many lanes a form is called with: g for products, then every saved value.
template <class Form>
inline constexpr int form_lanes = bit_count(Form::saved) + (Form::kind == DerivativeKind::product ? 1 : 0);

template <class Form, class Op, class A>
constexpr bool form_accepts() {
  constexpr int n = form_lanes<Form>;
  if constexpr (n == 0)
    return Form::template accepts<Op> || Form::template accepts<Op, A>;
  else if constexpr (n == 1)
    return Form::template accepts<Op, Probe> || Form::template accepts<Op, Probe, A>;
  else if constexpr (n == 2)
    return Form::template accepts<Op, Probe, Probe> || Form::template accepts<Op, Probe, Probe, A>;
  else if constexpr (n == 3)
    return Form::template accepts<Op, Probe, Probe, Probe> ||
           Form::template accepts<Op, Probe, Probe, Probe, A>;
  else
    return Form::template accepts<Op, Probe, Probe, Probe, Probe> ||
           Form::template accepts<Op, Probe, Probe, Probe, Probe, A>;
}

template <class Op, class A, class List>
struct FirstForm;
template <class Op, class A>
struct FirstForm<Op, A, FormList<>> {
  using type = Form_none;
};
template <class Op, class A, class Form, class... Rest>
struct FirstForm<Op, A, FormList<Form, Rest...>> {
  template <bool Found, class Then>
  struct Pick {
    using type = typename FirstForm<Op, A, FormList<Rest...>>::type;
  };
  template <class Then>
  struct Pick<true, Then> {
    using type = Then;
  };
  using type = typename Pick<form_accepts<Form, Op, A>(), Form>::type;
};

template <class Op, class A, class List>
struct CountForms;
template <class Op, class A, class... Forms>
struct CountForms<Op, A, FormList<Forms...>> {
  static constexpr int value = (0 + ... + (form_accepts<Forms, Op, A>() ? 1 : 0));
};

template <class Op>
constexpr int arity_of() {
  using A = typename AttrsOf<Op>::type;
  constexpr Probe p{};
  if constexpr (
      requires { Op::f(p); } || requires(const A& t) { Op::f(p, t); })
    return 1;
  else if constexpr (
      requires { Op::f(p, p); } || requires(const A& t) { Op::f(p, p, t); })
    return 2;
  else if constexpr (
      requires { Op::f(p, p, p); } || requires(const A& t) { Op::f(p, p, p, t); })
    return 3;
  else
    return 0;
}

/// Shown by the compiler when a struct breaks a rule: the op's type stands in the message.
template <class Op, bool Holds>
struct OpHasTemplateFunctionF {
  static_assert(Holds, "the op needs template <class V> static V f(V x) (or a, b; or c, a, b)");
};
template <class Op, int Operand, bool Holds>
struct OpHasDerivative {
  static_assert(Holds,
                "the op lacks exactly one derivative of this operand: df_x(x), da_b(b), ga_c(g, c), ... "
                "(or say .nondifferentiable or .conditions in its row)");
};

/// Everything about a pointwise op that follows from its struct.
template <class Op>
struct PointwiseTraits {
  using Attrs = typename AttrsOf<Op>::type;
  static constexpr int arity = arity_of<Op>();
  static constexpr bool has_attrs = requires { typename Op::Attrs; };
  static constexpr OpHasTemplateFunctionF<Op, (arity > 0)> checked_f{};

  static constexpr bool wants_gradient(int operand) {
    return !Op::row.nondifferentiable && operand < arity && ((Op::row.conditions >> operand) & 1U) == 0;
  }

  template <int Operand, bool Wanted>
  struct FormOf {
    using type = Form_none;
  };
  template <int Operand>
  struct FormOf<Operand, true> {
    using list = typename FormsOf<arity, Operand>::list;
    static constexpr OpHasDerivative<Op, Operand, CountForms<Op, Attrs, list>::value == 1> checked{};
    using type = typename FirstForm<Op, Attrs, list>::type;
  };
  template <int Operand>
  using Form = typename FormOf<Operand, wants_gradient(Operand)>::type;

  static constexpr DerivativeKind kind[3] = {Form<0>::kind, Form<1>::kind, Form<2>::kind};
  /// Bits 0..2: operands; save_output: the output.
  static constexpr unsigned save_mask[3] = {Form<0>::saved, Form<1>::saved, Form<2>::saved};
};

/// f on any lane type: `f_of<Op>(attrs, x)` or `(attrs, a, b)`; attributes are passed on only where f takes
/// them.
template <class Op, class A, class... V>
[[gnu::always_inline]] inline auto f_of(const A& attrs, const V&... lanes) {
  if constexpr (requires { Op::f(lanes...); })
    return Op::f(lanes...);
  else
    return Op::f(lanes..., attrs);
}

/// The derivative member of one operand on any lane type; constant forms take no lane and return double.
template <class Op, int Operand, class A, class... V>
[[gnu::always_inline]] inline auto derivative_of(const A& attrs, const V&... lanes) {
  using Form = typename PointwiseTraits<Op>::template Form<Operand>;
  if constexpr (Form::template accepts<Op, V...>)
    return Form::template call<Op>(lanes...);
  else
    return Form::template call<Op>(lanes..., attrs);
}

/// Number of sources of a backward kernel: g and the saved values.
template <class Op, int Operand>
inline constexpr int backward_sources = 1 + bit_count(PointwiseTraits<Op>::save_mask[Operand]);

/// The forward formula on `in[0..arity)`.
template <class Op, class V, class A>
[[gnu::always_inline]] inline V forward_formula(const V* in, const A& attrs) {
  constexpr int n = PointwiseTraits<Op>::arity;
  if constexpr (n == 1)
    return f_of<Op>(attrs, in[0]);
  else if constexpr (n == 2)
    return f_of<Op>(attrs, in[0], in[1]);
  else
    return f_of<Op>(attrs, in[0], in[1], in[2]);
}

/// The gradient of one operand; `in[0]` is g, the saved values follow: operands in order, then the output.
template <class Op, int Operand, class V, class A>
[[gnu::always_inline]] inline V gradient_formula(const V* in, const A& attrs) {
  constexpr DerivativeKind kind = PointwiseTraits<Op>::kind[Operand];
  constexpr int n = backward_sources<Op, Operand> - 1;
  if constexpr (kind == DerivativeKind::constant)
    return in[0] * V(derivative_of<Op, Operand>(attrs));
  else if constexpr (kind == DerivativeKind::factor) {
    if constexpr (n == 1)
      return in[0] * derivative_of<Op, Operand>(attrs, in[1]);
    else if constexpr (n == 2)
      return in[0] * derivative_of<Op, Operand>(attrs, in[1], in[2]);
    else
      return in[0] * derivative_of<Op, Operand>(attrs, in[1], in[2], in[3]);
  } else {
    if constexpr (n == 0)
      return derivative_of<Op, Operand>(attrs, in[0]);
    else if constexpr (n == 1)
      return derivative_of<Op, Operand>(attrs, in[0], in[1]);
    else if constexpr (n == 2)
      return derivative_of<Op, Operand>(attrs, in[0], in[1], in[2]);
    else
      return derivative_of<Op, Operand>(attrs, in[0], in[1], in[2], in[3]);
  }
}
